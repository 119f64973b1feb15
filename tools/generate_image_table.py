"""Write the table of AWS's container images from the data that comes with sagemaker-core.

Run it after raising the version of sagemaker-core: ``python tools/generate_image_table.py``
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "sm_constructs" / "model" / "image_table.json"
FRAMEWORKS = ("scikit-learn", "pytorch", "tensorflow", "hugging-face", "pytorch-training")
_FILES = {"scikit-learn": "sklearn", "hugging-face": "huggingface", "pytorch-training": "pytorch"}
_INFERENCE_SCOPES = {"inference": None, "inference_graviton": "graviton"}
_TRAINING_SCOPES = {"training": None}
_LEGACY = ("sagemaker-pytorch", "sagemaker-tensorflow", "sagemaker-tensorflow-serving")
"""Repositories of images before PyTorch 1.2 and TensorFlow 1.13, which expect no ``code/`` in the archive."""


def source_directory() -> Path:
    """Return sagemaker-core's image data, without importing it, which takes seconds."""
    spec = find_spec("sagemaker")
    for location in (spec.submodule_search_locations if spec else None) or ():
        if (directory := Path(location) / "core" / "image_uri_config").is_dir():
            return directory
    raise FileNotFoundError("sagemaker-core is not installed")


def image_table(source: Path) -> dict[str, Any]:
    """Return every inference image of every framework, and PyTorch's images for training, which are others.

    Returns:
        ``registries``: region → account, each once; ``images``: framework → images, the older versions first, each
        with ``version``, ``processor``, ``repository``, ``tag``, the index of its ``registry`` and, where there is
        a choice, ``python`` and ``base`` (what a Hugging Face image is built on).
    """
    registries: list[dict[str, str]] = []
    images: dict[str, list[dict[str, Any]]] = {}
    for framework in FRAMEWORKS:
        configurations = json.loads((source / f"{_FILES.get(framework, framework)}.json").read_text())
        images[framework] = []
        scopes = _TRAINING_SCOPES if framework.endswith("-training") else _INFERENCE_SCOPES
        for scope, processor in scopes.items():
            for image in _images(configurations.get(scope, {"versions": {}}), processor):
                accounts = image.pop("accounts")
                if accounts not in registries:
                    registries.append(accounts)
                images[framework].append({**image, "registry": registries.index(accounts)})
    return {"registries": registries, "images": images}


def render(table: dict[str, Any]) -> str:
    """Return the text of the generated file: a line for each registry and each image."""
    registries = ",\n".join(json.dumps(registry) for registry in table["registries"])
    frameworks = ",\n".join(
        f"{json.dumps(framework)}: [\n" + ",\n".join(json.dumps(image) for image in images) + "\n]"
        for framework, images in table["images"].items()
    )
    return f'{{"registries": [\n{registries}\n],\n"images": {{\n{frameworks}\n}}}}\n'


def _images(scope: dict[str, Any], only_processor: str | None) -> Iterator[dict[str, Any]]:
    for version, configuration in scope["versions"].items():
        nested = "repository" not in configuration  # Hugging Face: by what the image is built on
        bases = {name: each for name, each in configuration.items() if name != "version_aliases"}
        for base, image in bases.items() if nested else [(None, configuration)]:
            if image["repository"] in _LEGACY:
                continue
            for python in image.get("py_versions") or [None]:
                for processor in sorted(image.get("processors") or scope["processors"]):
                    yield {
                        "version": version,
                        "processor": only_processor or processor,
                        **({"base": base} if base else {}),
                        **({"python": python} if python else {}),
                        "repository": image["repository"],
                        "tag": _tag(
                            image,
                            version=version,
                            base=base,
                            processor=processor,
                            python=python,
                            graviton=only_processor == "graviton",
                        ),
                        "accounts": image["registries"],
                    }


def _tag(
    image: dict[str, Any], *, version: str, base: str | None, processor: str, python: str | None, graviton: bool
) -> str:
    """Compose the tag as sagemaker-core's ``image_uris.retrieve`` does."""
    head = f"{base.removeprefix('pytorch').removeprefix('tensorflow')}-transformers{version}" if base else version
    system = image.get("container_version", {}).get(processor)
    if graviton:
        if not system:  # scikit-learn
            return f"{version}-arm64-{processor}-{python}"
        system += "-sagemaker"
    return "-".join(part for part in (head, processor, python, system) if part)


if __name__ == "__main__":
    TARGET.write_text(render(image_table(source_directory())))
