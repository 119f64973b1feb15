"""Names of executions, of which names of SageMaker's jobs and models are made."""

from __future__ import annotations

import hashlib
import re

from text_classification.logic.requests import InvalidRequestError

_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")  # EventBridge names executions after two UUIDs
# What SageMaker takes, and leaves room for a prefix of 20 characters and a number within 63.
_SHORT = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,35}")
_LONGEST = 36


def check_name(name: object, *, kind: str) -> str:
    """Return the name of an execution, of which names of jobs and keys of objects are made.

    Args:
        name: The name.
        kind: What the log calls it when it is none.

    Raises:
        InvalidRequestError: It is none.
    """
    if not is_name(name):
        raise InvalidRequestError(
            [f"the execution's name is {str(name)[:80]!r}: must be 1 to 80 characters of A-Z, a-z, 0-9, - and _"],
            kinds=[kind],
        )
    return str(name)


def is_name(value: object) -> bool:
    """Return whether an execution that can be looked at may be called so."""
    return isinstance(value, str) and bool(_NAME.fullmatch(value))


def short_name(execution: str) -> str:
    """Return the name of an execution as SageMaker takes it: itself where it does, else a hash of it.

    EventBridge names the executions that it starts after two UUIDs.

    >>> short_name("reviews-7")
    'reviews-7'
    >>> short_name("6b1b1f9a-94ea-4b0c-8b0e-9f5a1a0f7c11_2f9a8f4e-5f5d-4f1e-9f5a-0f7c11aa22bb")
    '83fdc63ff5f4081e'
    """
    if len(execution) <= _LONGEST and _SHORT.fullmatch(execution):
        return execution
    return hashlib.sha256(execution.encode()).hexdigest()[:16]
