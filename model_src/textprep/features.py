"""Numbers that describe a text by its characters alone, in any language."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from textprep.language import HAN_CHARACTER

FEATURES_VERSION = 1
"""Changes when a feature is added, left out or counted differently."""

# Linear in the length of the text: each alternative begins and goes on in only one way.
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"']+", re.IGNORECASE)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_REPEATED = re.compile(r"(\S)\1{2,}")

_KINDS = ("han", "latin", "other_letters", "digits", "punctuation", "symbols")


def text_features(text: str) -> dict[str, float]:
    r"""Return the features of ``text``, always the same ones in the same order.

    ==================  ===========================================================================
    ``characters``      code points that are not white space
    ``lines``           lines that have any
    ``han`` …           shares of the characters, from 0 to 1: ``han``, ``latin``, ``other_letters``
                        (with their marks), ``digits``, ``punctuation``, ``symbols`` (emoji among them)
    ``upper_case``      share of the characters that are upper-case letters
    ``urls``            web addresses
    ``emails``          e-mail addresses
    ``exclamations``    exclamation marks, full-width ones too
    ``questions``       question marks, full-width ones too
    ``longest_run``     the most times that a character stands three times or more in a row; else 0
    ==================  ===========================================================================

    >>> features = text_features("太棒了！！！ See https://example.com")
    >>> features["characters"], features["urls"], features["exclamations"], features["longest_run"]
    (28.0, 1.0, 3.0, 3.0)
    >>> round(features["han"], 3), round(features["latin"], 3)
    (0.107, 0.643)
    """
    counts = Counter(text)
    visible = {character: count for character, count in counts.items() if not character.isspace()}
    characters = sum(visible.values())
    kinds = Counter[str]()
    for character, count in visible.items():
        kinds[_kind(character)] += count
    upper_case = sum(count for character, count in visible.items() if character.isupper())
    return {
        "characters": float(characters),
        "lines": float(sum(1 for line in text.splitlines() if line.strip())),
        **{kind: _share(kinds[kind], characters) for kind in _KINDS},
        "upper_case": _share(upper_case, characters),
        "urls": float(sum(1 for _ in _URL.finditer(text))),
        "emails": float(sum(1 for _ in _EMAIL.finditer(text))),
        "exclamations": _sum(counts, "!！"),
        "questions": _sum(counts, "?？"),
        "longest_run": float(max((len(match[0]) for match in _REPEATED.finditer(text)), default=0)),
    }


@lru_cache(maxsize=8192)
def _kind(character: str) -> str:
    if HAN_CHARACTER.match(character):
        return "han"
    match unicodedata.category(character)[0]:
        case "L" | "M":
            return "latin" if "LATIN " in unicodedata.name(character, "") else "other_letters"
        case "N":
            return "digits"
        case "P":
            return "punctuation"
        case "S":
            return "symbols"
        case _:
            return "control"


def _share(count: int, characters: int) -> float:
    return count / characters if characters else 0.0


def _sum(counts: Mapping[str, int], characters: str) -> float:
    return float(sum(counts.get(character, 0) for character in characters))
