"""What SageMaker takes as the name of an endpoint, a variant or an inference component."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aws_cdk import Token

NAME_PATTERN = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"


def name_problems(argument: str, name: str | None) -> Iterator[str]:
    """Yield what SageMaker would say of a name.

    >>> list(name_problems("endpoint_name", "a_b"))
    ["endpoint_name is 'a_b': must be 1 to 63 letters, digits and hyphens, and neither begin nor end with a hyphen"]
    """
    if name is None or Token.is_unresolved(name) or re.fullmatch(NAME_PATTERN, name):
        return
    yield (
        f"{argument} is '{name}': must be 1 to 63 letters, digits and hyphens, and neither begin nor end with a hyphen"
    )
