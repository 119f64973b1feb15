"""The generated table of the container images that AWS publishes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class TableEntry:
    """One image in the table.

    Args:
        version: The framework's version.
        processor: What it runs on: ``"cpu"``, ``"gpu"`` or ``"graviton"``.
        repository: The repository's name.
        tag: The image's tag.
        accounts: Region → account whose registry has it.
        base: What a Hugging Face image is built on, such as ``"pytorch2.6.0"``. None for the others.
        python: Its Python, such as ``"py312"``. None where AWS does not say.
    """

    version: str
    processor: str
    repository: str
    tag: str
    accounts: Mapping[str, str]
    base: str | None = None
    python: str | None = None


@cache
def image_table() -> Mapping[str, tuple[TableEntry, ...]]:
    """Return framework → images, as ``tools/generate_image_table.py`` wrote them; read at the first call."""
    table = json.loads(Path(__file__).with_suffix(".json").read_text())
    registries = table["registries"]
    return {
        framework: tuple(
            TableEntry(
                version=image["version"],
                processor=image["processor"],
                repository=image["repository"],
                tag=image["tag"],
                accounts=registries[image["registry"]],
                base=image.get("base"),
                python=image.get("python"),
            )
            for image in images
        )
        for framework, images in table["images"].items()
    }
