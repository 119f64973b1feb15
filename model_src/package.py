"""Add the inference code and a manifest to a trained model: ``python package.py MODEL_DIR OUT_DIR``."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archive import write_archive
from manifest import write_manifest

_SOURCES = Path(__file__).resolve().parent
_CODE_FILES = ("features.py", "manifest.py", "payloads.py", "serving.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What serves a kind of model.

    Args:
        weights: The file beside ``metadata.json`` that training writes.
        script: What becomes ``code/inference.py``.
        modules: What that script imports, beside what all import.
        export: The module whose ``export`` makes a model of the other format of it. Omitted, there is none.
        no_onnx: Why there is none.
    """

    weights: str
    script: str
    modules: tuple[str, ...] = ()
    export: str | None = None
    no_onnx: str = ""


KINDS = (
    Kind(
        weights="model.joblib",
        script="inference.py",
        modules=("classifier.py",),
        no_onnx="nearly all of a text's time goes into its n-grams, before what ONNX Runtime could take over",
    ),
    Kind(
        weights="model.pt",
        script="torch_inference.py",
        modules=("hashing.py", "torch_network.py"),
        export="torch_export",
    ),
    Kind(weights="model.onnx", script="onnx_inference.py", modules=("hashing.py",)),
)


def package(model_directory: Path, out_directory: Path) -> None:
    """Make ``out_directory`` what SageMaker serves: the model's files, ``code/`` beside them, and the manifest.

    Args:
        model_directory: What ``train.py`` or ``torch_train.py`` wrote. May be ``out_directory`` itself.
        out_directory: Made when it is not there; an older ``code/`` in it is replaced.

    Raises:
        FileNotFoundError: ``model_directory`` lacks a file that training writes.
    """
    kind = kind_of(model_directory)
    model_files = ("metadata.json", kind.weights)
    missing = [name for name in model_files if not (model_directory / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{model_directory} has no {' and no '.join(missing)}: run train.py first")
    out_directory.mkdir(parents=True, exist_ok=True)
    if model_directory.resolve() != out_directory.resolve():
        for name in model_files:
            shutil.copyfile(model_directory / name, out_directory / name)
    code = out_directory / "code"
    shutil.rmtree(code, ignore_errors=True)
    shutil.copytree(_SOURCES / "textprep", code / "textprep", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (*_CODE_FILES, *kind.modules):
        shutil.copyfile(_SOURCES / name, code / name)
    shutil.copyfile(_SOURCES / kind.script, code / "inference.py")
    write_manifest(out_directory)


def kind_of(model_directory: Path) -> Kind:
    """Return what serves the model that training wrote there; the first kind if there is none."""
    return next((kind for kind in KINDS if (model_directory / kind.weights).is_file()), KINDS[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Package as the command line says.

    Raises:
        SystemExit: The model directory is not one; the message goes to the error stream.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_dir", type=Path, help="what train.py wrote")
    parser.add_argument("out_dir", type=Path, help="where the packaged model goes")
    parser.add_argument("--archive", type=Path, help="a model.tar.gz to write as well")
    parsed = parser.parse_args(arguments)
    try:
        package(parsed.model_dir, parsed.out_dir)
        if parsed.archive:
            write_archive(parsed.out_dir, parsed.archive)
    except FileNotFoundError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
