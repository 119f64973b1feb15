"""Names of executions, of which names of SageMaker's jobs and models are made."""

from __future__ import annotations

import hashlib
import re

# What SageMaker takes, and leaves room for a prefix of 20 characters and a number within 63.
_SHORT = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,35}")
_LONGEST = 36


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
