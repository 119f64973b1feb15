"""Paths of a container, where there is no container."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

OPT_ML = "/opt/ml"


def local(text: str, directories: Mapping[str, Path]) -> str:
    """Return a text with a container's directories replaced by those that stand for them here.

    >>> local("tar -C /tmp/code -f /opt/ml/processing/a.gz #/var/tmp", {"/opt/ml": Path("/s"), "/tmp": Path("/s/t")})
    'tar -C /s/t/code -f /s/processing/a.gz #/var/tmp'
    """
    names = "|".join(re.escape(name) for name in directories)
    return re.sub(rf"(?<![\w.\-/])(?:{names})(?![\w.\-])", lambda match: str(directories[match[0]]), text)
