"""The one error that a wrong construct argument raises."""

from __future__ import annotations

from collections.abc import Sequence


class InvalidPropsError(ValueError):
    """Construct arguments that SageMaker, CloudFormation or this library would refuse.

    Raised at synth, before anything is deployed, with every problem found and not just the first.

    Args:
        subject: What was being made, such as ``"Endpoint 'Stack/Endpoint'"``.
        problems: One line each, lower case: what came, what is allowed, how to fix it.

    >>> raise InvalidPropsError("Endpoint 'Stack/Endpoint'", ["memory_size_mb is 1000: use 1024"])
    Traceback (most recent call last):
        ...
    sm_constructs.errors.InvalidPropsError: Endpoint 'Stack/Endpoint':
      - memory_size_mb is 1000: use 1024
    """

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        self.subject = subject
        self.problems = tuple(problems)
        super().__init__("\n  - ".join([f"{subject}:", *self.problems]))
