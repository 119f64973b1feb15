"""Write the table of AWS's container images from the data that comes with sagemaker-core.

Run it after raising the version of sagemaker-core: ``python tools/generate_image_table.py``
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "sm_constructs" / "model" / "image_table.json"


def source_directory() -> Path:
    """Return sagemaker-core's image data, without importing it, which takes seconds."""
    spec = find_spec("sagemaker")
    for location in (spec.submodule_search_locations if spec else None) or ():
        if (directory := Path(location) / "core" / "image_uri_config").is_dir():
            return directory
    raise FileNotFoundError("sagemaker-core is not installed")


def image_table(source: Path) -> dict[str, Any]:
    """Return framework → version → repository, tag and registry accounts, for inference on CPUs."""
    return {"scikit-learn": _framework(source / "sklearn.json", "inference")}


def render(table: dict[str, Any]) -> str:
    """Return the text of the generated file."""
    return json.dumps(table, indent=2) + "\n"


def _framework(path: Path, scope: str) -> dict[str, Any]:
    versions = json.loads(path.read_text())[scope]["versions"]
    return {version: _image(version, config) for version, config in versions.items()}


def _image(version: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "repository": config["repository"],
        "tag": f"{version}-cpu-{config['py_versions'][-1]}",
        "accounts": config["registries"],
    }


if __name__ == "__main__":
    TARGET.write_text(render(image_table(source_directory())))
