"""What an image runs on, and which instance types have it."""

from __future__ import annotations

import re
from typing import Literal, get_args

Processor = Literal["cpu", "gpu", "graviton"]
"""``"cpu"``: x86-64 alone; ``"gpu"``: with NVIDIA GPUs; ``"graviton"``: Arm."""

PROCESSORS: tuple[str, ...] = get_args(Processor)

_INSTANCE_TYPE = re.compile(r"ml\.(?P<family>[a-z0-9-]+)\.[a-z0-9-]+")
_GRAVITON = re.compile(r"[cmrtx]\d+g[a-z]*")
_OTHER_ACCELERATORS = re.compile(r"(inf|trn)\d.*|dl1")


def processor_of(name: str) -> str | None:
    """Return the processor that a name stands for: its own name, or an instance type with it.

    Returns:
        ``"cpu"``, ``"gpu"`` or ``"graviton"``; None for Inferentia, Trainium and Gaudi, and for what is no instance
        type.

    >>> [processor_of(name) for name in ("gpu", "ml.m5.large", "ml.g5.xlarge", "ml.c7g.large", "ml.inf2.xlarge")]
    ['gpu', 'cpu', 'gpu', 'graviton', None]
    """
    if name in PROCESSORS:
        return name
    match = _INSTANCE_TYPE.fullmatch(name)
    if match is None or _OTHER_ACCELERATORS.fullmatch(match["family"]):
        return None
    if match["family"][0] in "gp":
        return "gpu"
    return "graviton" if _GRAVITON.fullmatch(match["family"]) else "cpu"
