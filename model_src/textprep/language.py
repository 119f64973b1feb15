"""Which of the supported languages a text is written in, by its script."""

from __future__ import annotations

import re
from typing import Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""The Unicode script Han, for a character class: iteration mark, zero, unified and compatibility ideographs."""

HAN_CHARACTER = re.compile(f"[{HAN}]")
_OTHER_WORD = re.compile(rf"[^\W\d_{HAN}]+")


def detect_language(text: str) -> Language:
    """Return ``"zh"`` for a text that is mostly Chinese, otherwise ``"en"``.

    A Han character weighs as much as a word of any other script, so that a Chinese sentence with
    English product names stays Chinese and an English one that quotes a Chinese word stays English.
    A tie is Chinese. Digits, punctuation and emoji weigh nothing; a text of nothing else is English.

    >>> detect_language("我的 iPhone 15 Pro 很好用")
    'zh'
    >>> detect_language("The word 中文 means Chinese")
    'en'
    >>> detect_language("👍 100%")
    'en'
    """
    han = len(HAN_CHARACTER.findall(text))
    return "zh" if han and han >= len(_OTHER_WORD.findall(text)) else "en"
