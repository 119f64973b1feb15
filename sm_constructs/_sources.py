"""Where the Lambda and model sources lie: inside the wheel, or beside the library in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def source_directory(name: str) -> Path:
    """Return ``lambda_src`` or ``model_src``.

    Raises:
        FileNotFoundError: The installation is broken: neither place has the directory.
    """
    for parent in (_PACKAGE / "_src", _PACKAGE.parent):
        if (parent / name).is_dir():
            return parent / name
    raise FileNotFoundError(f"{name} is missing beside {_PACKAGE}: reinstall sm-constructs")
