"""The demo's model: one model with four labels for Chinese reviews and English mail.

``python -m sm_local.demo_model`` makes ``.build/data`` and ``.build/model`` when they are not up to date.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from sm_constructs._sources import source_directory
from sm_local.datasets import Dataset, chinese_reviews, english_mail, write_datasets
from sm_local.errors import LocalAwsError, log_tail
from sm_local.project import Project

_STAMP = "demo-model.inputs"


def build(root: Path, *, say: Callable[[str], object] = print) -> Path:
    """Make the data and the model unless they are there and made from the same inputs.

    Args:
        root: The checkout: it has ``node_modules``, and ``.build`` is made in it.
        say: Told what takes long, a line each. Omitted, printed.

    Returns:
        The model directory, ready for ``ModelData.from_directory``. The data is in ``.build/data``.

    Raises:
        LocalAwsError: A data set is not installed, or training failed; has the training's last lines.
    """
    datasets = (chinese_reviews(), english_mail(root))
    with _alone_in(root / ".build") as build_directory:
        data, model, stamp = (build_directory / name for name in ("data", "model", _STAMP))
        inputs = _inputs(datasets)
        model_files = ("metadata.json", "model.joblib", "manifest.json", "code")
        made_before = (stamp, data / "sources.json", *(model / name for name in model_files))
        if all(path.exists() for path in made_before) and stamp.read_text() == inputs:
            return model
        with tempfile.TemporaryDirectory(dir=build_directory) as made:
            say("Preparing the Chinese reviews and the English mail")
            write_datasets(datasets, Path(made, "data"))
            say("Training one model on both, about a minute and a half on one idle core")
            _train(Path(made, "data"), Path(made, "model"))
            stamp.unlink(missing_ok=True)
            for name in ("data", "model"):
                shutil.rmtree(build_directory / name, ignore_errors=True)
                Path(made, name).rename(build_directory / name)
        stamp.write_text(inputs)
    return model


def _train(data: Path, model: Path) -> None:
    sources = source_directory("model_src")
    for command in (
        [sources / "train.py", "--train", data / "train", "--test", data / "test", "--model-dir", model],
        [sources / "package.py", model, model],
    ):
        run = subprocess.run([sys.executable, *command], check=False, capture_output=True, text=True)
        if run.returncode:
            raise LocalAwsError(f"Training failed with exit code {run.returncode}.", log_tail(run.stdout + run.stderr))


def _inputs(datasets: tuple[Dataset, ...]) -> str:
    """Return a hash of all that decides about the data and the model; without reading the data."""
    here = Path(__file__).parent
    model_sources = (file for file in source_directory("model_src").rglob("*") if file.suffix in (".py", ".json"))
    sources = [here / "datasets.py", here / "mail.py", *sorted(model_sources)]
    digest = hashlib.sha256("".join(source.read_text(encoding="utf-8") for source in sources).encode())
    digest.update(version("scikit-learn").encode())
    for dataset in datasets:
        digest.update(dataset.package.encode())
    return digest.hexdigest()


@contextmanager
def _alone_in(directory: Path) -> Iterator[Path]:
    """Make ``directory`` and wait until no other process builds in it."""
    directory.mkdir(exist_ok=True)
    with (directory / "demo-model.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory


def main() -> int:
    """Build in the project of the current directory; return the exit code."""
    try:
        print(build(Project.find().root))
    except LocalAwsError as error:
        print(error, *error.log, sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
