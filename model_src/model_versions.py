"""Names for models that follow from what they are made of, and from nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from channels import Example


def example_digest(example: Example) -> bytes:
    """Return the 32 bytes that stand for a text and its label."""
    return hashlib.sha256(json.dumps([example.text, example.label]).encode()).digest()


def model_version(
    digests: Iterable[bytes], choices: Mapping[str, object], *, hosts: int = 1, framework: str = "scikit-learn"
) -> str:
    """Return 12 hexadecimal digits that name a model made of these examples, choices and sources.

    Args:
        digests: What :func:`example_digest` returns for each of the examples, in any order.
        choices: The hyperparameters.
        hosts: How many train it together: sums of other parts are rounded otherwise.
        framework: The package that trains it, whose version counts too.
    """
    digest = hashlib.sha256(version(framework).encode())
    digest.update(json.dumps([choices, hosts], sort_keys=True).encode())
    here = Path(__file__).parent
    for source in sorted(here.rglob("*.py")):
        digest.update(f"\0{source.relative_to(here).as_posix()}\0".encode())
        digest.update(source.read_bytes())
    digest.update(b"".join(sorted(digests)))
    return digest.hexdigest()[:12]
