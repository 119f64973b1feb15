"""What a container looks for in a model's archive."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class RequiredFile:
    r"""A file that a model's archive must have, where its name is not one fixed name.

    Args:
        description: What to look for, as an error says it.
        pattern: A regular expression for the whole name, which stands relative to the archive's root.

    >>> file = RequiredFile(description="<number>/saved_model.pb", pattern=r"\d+/saved_model\.pb")
    >>> file.is_among(["1/saved_model.pb", "1/variables/variables.index"])
    True
    """

    description: str
    pattern: str

    def is_among(self, names: Iterable[str]) -> bool:
        """Tell whether one of the names is this file's."""
        return any(re.fullmatch(self.pattern, name) for name in names)


def missing_files(required: Iterable[str | RequiredFile], names: Iterable[str]) -> list[str]:
    """Return what is required and not among the names, as an error says it.

    >>> missing_files(["code/inference.py"], ["inference.py"])
    ['code/inference.py']
    """
    there = set(names)
    files = [
        RequiredFile(description=each, pattern=re.escape(each)) if isinstance(each, str) else each for each in required
    ]
    return [file.description for file in files if not file.is_among(there)]
