"""Rules that collect every wrong argument before one error is raised."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from aws_cdk import Token
from constructs import Construct

from sm_constructs.errors import InvalidPropsError


class Problems:
    """Collects what is wrong with the arguments of one construct.

    Tokens (values that CloudFormation resolves at deployment) are let through.

    >>> problems = Problems()
    >>> problems.between("instance_count", 0, 1, 100)
    >>> problems.one_of("language", "fr", ["en", "zh"])
    >>> list(problems)
    ['instance_count is 0: must be from 1 to 100', "language is 'fr': must be one of 'en', 'zh'"]
    """

    def __init__(self) -> None:
        self._found: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def add(self, problem: str) -> None:
        self._found.append(problem)

    def extend(self, problems: Iterable[str]) -> None:
        self._found.extend(problems)

    def unless(self, holds: bool, problem: str) -> None:
        if not holds:
            self.add(problem)

    def between(self, name: str, value: float | None, low: float, high: float, unit: str = "") -> None:
        if value is None or Token.is_unresolved(value):
            return
        suffix = f" {unit}" if unit else ""
        self.unless(low <= value <= high, f"{name} is {value}{suffix}: must be from {low} to {high}{suffix}")

    def at_least(self, name: str, value: float | None, low: float, unit: str = "") -> None:
        if value is None or Token.is_unresolved(value):
            return
        suffix = f" {unit}" if unit else ""
        self.unless(value >= low, f"{name} is {value}{suffix}: must be at least {low}")

    def whole_seconds(self, name: str, seconds: float, low: int, high: int) -> None:
        self.unless(
            seconds in range(low, high + 1),
            f"{name} is {seconds:g} seconds: must be whole seconds from {low} to {high}",
        )

    def one_of(self, name: str, value: object, allowed: Collection[object]) -> None:
        if value is None or Token.is_unresolved(value):
            return
        choices = ", ".join(repr(choice) for choice in allowed)
        self.unless(value in allowed, f"{name} is {value!r}: must be one of {choices}")

    def raise_for(self, construct: Construct) -> None:
        """Raise :class:`InvalidPropsError` naming the construct's path when anything was found."""
        if self._found:
            raise InvalidPropsError(f"{type(construct).__name__} '{construct.node.path}'", self._found)
