"""Add the inference code to a trained model: ``python package.py MODEL_DIR OUT_DIR``."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

_SOURCES = Path(__file__).resolve().parent
_CODE_FILES = ("features.py", "inference.py", "payloads.py", "serving.py")
_MODEL_FILES = ("metadata.json", "model.joblib")


def package(model_directory: Path, out_directory: Path) -> None:
    """Make ``out_directory`` what SageMaker serves: the model's files and ``code/`` beside them.

    Args:
        model_directory: What ``train.py`` wrote. May be ``out_directory`` itself.
        out_directory: Made when it is not there; an older ``code/`` in it is replaced.

    Raises:
        FileNotFoundError: ``model_directory`` lacks a file that ``train.py`` writes.
    """
    missing = [name for name in _MODEL_FILES if not (model_directory / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{model_directory} has no {' and no '.join(missing)}: run train.py first")
    out_directory.mkdir(parents=True, exist_ok=True)
    if model_directory.resolve() != out_directory.resolve():
        for name in _MODEL_FILES:
            shutil.copyfile(model_directory / name, out_directory / name)
    code = out_directory / "code"
    shutil.rmtree(code, ignore_errors=True)
    shutil.copytree(_SOURCES / "textprep", code / "textprep", ignore=shutil.ignore_patterns("__pycache__"))
    for name in _CODE_FILES:
        shutil.copyfile(_SOURCES / name, code / name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Package as the command line says.

    Raises:
        SystemExit: The model directory is not one; the message goes to the error stream.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_dir", type=Path, help="what train.py wrote")
    parser.add_argument("out_dir", type=Path, help="where the packaged model goes")
    parsed = parser.parse_args(arguments)
    try:
        package(parsed.model_dir, parsed.out_dir)
    except FileNotFoundError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
