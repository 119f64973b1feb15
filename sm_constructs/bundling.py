"""Lambda's code and dependencies as zip files, built without Docker.

The dependencies are installed before synth (``python -m sm_constructs bundle``), from requirement files
that name every version and hash. A bundle's name holds the hash of what it was made from, so that it is
built once, and so that the template is the same on every machine. Synth itself only looks for the files.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from sm_constructs._sources import source_directory
from sm_constructs._stripping import is_needed, without_debug_symbols
from sm_constructs.errors import InvalidPropsError
from sm_constructs.lambda_platform import LAMBDA, LambdaPlatform

LAYERS = ("core", "english", "chinese")
"""``core``: Powertools and pydantic, for every function. The others: libraries and model of a language."""

UNZIPPED_LIMIT_BYTES = 250 * 1024 * 1024
"""What a function and its layers may have together, unzipped:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html."""

_ROOM_BYTES = 30_000_000  # for the functions' own code, and for layers that an app adds
_FORMAT = "2"  # part of every hash: change it when the content of a bundle changes for the same requirements
_PROCESSORS = {"arm64": "aarch64", "x86_64": "x86_64"}


class BundlingError(RuntimeError):
    """Layers could not be built. The message says of each which package, for which platform, and why."""


def requirements_path(layer: str) -> Path:
    """Return the file that locks a layer's dependencies."""
    return source_directory("lambda_src") / "requirements" / f"{layer}.txt"


def bundles_directory() -> Path:
    """Return where bundles are: ``.build/bundles`` here, or what ``SM_CONSTRUCTS_BUNDLES`` says."""
    return Path(os.environ.get("SM_CONSTRUCTS_BUNDLES") or Path(".build", "bundles"))


def layer_hash(layer: str, platform: LambdaPlatform) -> str:
    """Return the hash of all that decides a layer's content: its locked requirements and the platform.

    The same on every machine, unlike a hash of the zip file's bytes.
    """
    requirements = requirements_path(layer).read_text(encoding="utf-8")
    return hashlib.sha256("\n".join([_FORMAT, layer, platform.key, requirements]).encode()).hexdigest()


def layer_path(layer: str, platform: LambdaPlatform) -> Path:
    """Return a layer's zip file, for synth.

    Raises:
        InvalidPropsError: The platform is not one of Lambda's, or the layer has not been bundled for it.
    """
    subject = f"Lambda layer '{layer}'"
    if problems := platform.problems():
        raise InvalidPropsError(subject, problems)
    path = _layer_file(layer, platform)
    if not path.is_file():
        raise InvalidPropsError(subject, [f"{path} is missing: run `{_command(platform)}` before synth"])
    return path


def bundle(platform: LambdaPlatform, *, on_progress: Callable[[str], None] = lambda _: None) -> dict[str, Path]:
    """Build each layer's zip file that is not there yet, and return all of them by the layer's name.

    Safe to run in several processes at once: a file appears under its name only when it is complete.

    Args:
        platform: What the compiled modules are built for.
        on_progress: Called with one line for each step. When omitted nothing is reported.

    Raises:
        InvalidPropsError: The platform is not one of Lambda's, nor this machine's.
        BundlingError: A dependency could not be installed, such as one without a wheel for the platform, or a
            layer is too large. All other layers have been built: functions that need only these can be used.
    """
    if problems := platform.problems():
        raise InvalidPropsError("LambdaPlatform", problems)
    paths, failures = {}, []
    for layer in LAYERS:
        try:
            paths[layer] = _bundle_layer(layer, platform, on_progress)
        except BundlingError as error:
            failures.append(str(error))
    if failures:
        raise BundlingError("\n".join(failures))
    return paths


def unzipped_bytes(path: Path) -> int:
    """Return how many bytes the files in a zip file have, unzipped."""
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def code_zip(directory: Path) -> Path:
    """Write the functions' own code to a zip file in ``directory``, and return it.

    It holds the packages ``text_classification`` and ``textprep``, uncompressed: small, and byte for byte the
    same on every machine.
    """
    entries = {
        **_package_files(source_directory("lambda_src") / "text_classification"),
        **_package_files(source_directory("model_src") / "textprep"),
    }
    path = directory / "lambda-code.zip"
    _write_zip(path, entries, zipfile.ZIP_STORED)
    return path


def model_zip(model: Path, directory: Path) -> Path:
    """Write a language's model to a zip file in ``directory``, as a layer that has it in ``/opt/model``."""
    entries = {str(name): path for name, path in _files(model, PurePosixPath("model"))}
    path = directory / "model.zip"
    _write_zip(path, entries, zipfile.ZIP_STORED)
    return path


def _bundle_layer(layer: str, platform: LambdaPlatform, on_progress: Callable[[str], None]) -> Path:
    path = _layer_file(layer, platform)
    if path.is_file():
        on_progress(f"{layer}: {path} is up to date")
        return path
    on_progress(f"{layer}: installing the dependencies for {_describe(platform)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as temporary:
        installed = Path(temporary, "python")
        _install(layer, platform, installed)
        _compile(platform, installed)
        unfinished = Path(temporary, path.name)
        _write_zip(unfinished, _layer_files(installed), zipfile.ZIP_DEFLATED)
        unzipped = unzipped_bytes(unfinished)
        if unzipped > UNZIPPED_LIMIT_BYTES - _ROOM_BYTES:
            raise BundlingError(
                f"the layer '{layer}' for {_describe(platform)} has {unzipped / 1e6:.0f} MB unzipped: Lambda takes "
                f"{UNZIPPED_LIMIT_BYTES / 1e6:.0f} MB of a function and its layers, and {_ROOM_BYTES / 1e6:.0f} are "
                "kept free"
            )
        unfinished.replace(path)
    on_progress(f"{layer}: {path} ({path.stat().st_size / 1e6:.1f} MB, {unzipped / 1e6:.1f} MB unzipped)")
    return path


def _layer_file(layer: str, platform: LambdaPlatform) -> Path:
    return bundles_directory() / f"{layer}-{platform.key}-{layer_hash(layer, platform)[:16]}.zip"


def _install(layer: str, platform: LambdaPlatform, target: Path) -> None:
    # Imported here, because a CDK app that only synthesizes needs no installer.
    from uv import find_uv_bin

    foreign = ["--python-platform", _wheel_platform(platform)]
    done = subprocess.run(
        [
            *(find_uv_bin(), "pip", "install"),
            *("--python", sys.executable, "--python-version", platform.python),
            *(foreign if platform.system == LAMBDA else []),
            *("--target", str(target), "--requirements", str(requirements_path(layer))),
            *("--require-hashes", "--no-deps", "--only-binary", ":all:"),
            *("--no-compile-bytecode", "--link-mode", "copy", "--color", "never"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BundlingError(_failure(layer, platform, done.stderr))


def _compile(platform: LambdaPlatform, installed: Path) -> None:
    """Compile to bytecode where this interpreter is of the platform's version: Lambda cannot write any itself.

    Halves the time that loading spaCy takes. Files that do not compile are left to those who import them.
    """
    for brought in list(installed.rglob("__pycache__")):
        shutil.rmtree(brought)
    if platform.python != LambdaPlatform.local().python:
        return
    subprocess.run(
        [
            *(sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(installed), "-p", "/opt/python", str(installed)),
        ],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "0"},  # the same bytes each time
    )


def _failure(layer: str, platform: LambdaPlatform, output: str) -> str:
    """Say which package has no wheel for which platform where uv says so, and always what uv said."""
    # uv writes numpy{python_full_version < '3.12'}==2.4.6 where a version is for some Pythons only.
    without_wheel = re.search(r"Because ([\w.-]+)(?:\{.*?\})?(==\S+)? has no (?:usable )?wheels", output)
    what = (
        f"{without_wheel[1]}{without_wheel[2] or ''} has no wheel"
        if without_wheel
        else f"the layer '{layer}' cannot be installed"
    )
    said = "\n".join(f"  {line}" for line in output.strip().splitlines())
    return f"{what} for {_describe(platform)} ({requirements_path(layer)}). uv said:\n{said}"


def _layer_files(installed: Path) -> dict[str, Path]:
    """Map names in a layer's zip file to files, leaving out what no function imports."""
    return {
        str(PurePosixPath("python") / name): path
        for name, path in _files(installed, PurePosixPath())
        if is_needed(name)
    }


def _package_files(package: Path) -> dict[str, Path]:
    return {
        str(name): path
        for name, path in _files(package, PurePosixPath(package.name))
        if "__pycache__" not in name.parts and name.suffix in {".py", ".json", ".sql"}
    }


def _files(directory: Path, prefix: PurePosixPath) -> Iterator[tuple[PurePosixPath, Path]]:
    for path in directory.rglob("*"):
        if path.is_file():
            yield prefix / path.relative_to(directory).as_posix(), path


def _write_zip(path: Path, entries: dict[str, Path], compression: int) -> None:
    """Write a zip file that depends on names and contents alone, not on a disk's times, owners or order."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(entries):
            entry = zipfile.ZipInfo(name)  # of 1980-01-01
            entry.create_system = 3  # Unix, whichever system writes it
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, without_debug_symbols(entries[name].read_bytes()), compression)


def _wheel_platform(platform: LambdaPlatform) -> str:
    # The version of glibc: 2.26 in Amazon Linux 2 (Python 3.11), 2.34 in 2023 (from 3.12).
    libc = "manylinux_2_17" if platform.python == "3.11" else "manylinux_2_34"
    return f"{_PROCESSORS[platform.architecture]}-{libc}"


def _describe(platform: LambdaPlatform) -> str:
    where = "AWS Lambda" if platform.system == LAMBDA else f"this machine ({platform.system})"
    return f"Python {platform.python} on {platform.architecture}, {where}"


def _command(platform: LambdaPlatform) -> str:
    options: Iterable[str] = (
        ("--python", platform.python, "--architecture", platform.architecture)
        if platform.system == LAMBDA
        else ("--platform", "local")
    )
    return " ".join(["python", "-m", "sm_constructs", "bundle", *options])
