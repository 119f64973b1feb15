"""What the model sees of a text. Travels in the model archive: the trained pipeline refers to it."""

from __future__ import annotations

from textprep import normalize


def prepare(text: str) -> str:
    r"""Return the normal form of ``text`` without the difference between upper and lower case.

    >>> prepare("  ＦＲＥＥ\n Straße")
    'free strasse'
    """
    return normalize(text).casefold()
