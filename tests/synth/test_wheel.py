"""The wheel: what is in it, and that an app in a clean environment synthesizes from it alone."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).resolve().parents[2]
APP = """
import aws_cdk as cdk
from sm_constructs import ModelData, TextClassificationStack

app = cdk.App()
TextClassificationStack(app, "Reviews", model_data=ModelData.from_directory("model"))
app.synth()
"""


@dataclass(frozen=True, kw_only=True)
class CleanProject:
    """A directory of somebody's own, and an environment with the wheel and what it depends on.

    Args:
        directory: The directory.
        python: The environment's interpreter.
    """

    directory: Path
    python: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Bytecode is written, or each run would compile all of aws_cdk again.
        unset = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "SM_CONSTRUCTS_BUNDLES", "VIRTUAL_ENV"}
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=self.directory,
            env={
                **{name: value for name, value in os.environ.items() if name not in unset},
                "CDK_OUTDIR": str(self.directory / "cdk.out"),
                "CDK_VALIDATION": "false",
            },
            capture_output=True,
            text=True,
            check=False,
        )


def uv(*arguments: str) -> str:
    done = subprocess.run([find_uv_bin(), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> CleanProject:
    directory = tmp_path_factory.mktemp("somewhere") / "else"
    environment = directory / "venv"
    # The versions that are tested here, which are downloaded already; without them, the newest there are.
    locked = directory / "locked.txt"
    directory.mkdir()
    locked.write_text(uv("export", "--frozen", "--no-default-groups", "--no-emit-project", "--no-hashes"))
    uv("venv", "--python", sys.executable, str(environment))
    uv("pip", "install", "--python", str(environment), "--constraints", str(locked), str(wheel))
    (directory / "app.py").write_text(APP)
    (directory / "model/code").mkdir(parents=True)
    (directory / "model/model.joblib").write_bytes(b"a model")
    (directory / "model/code/inference.py").write_text("def model_fn(model_dir): ...\n")
    return CleanProject(directory=directory, python=environment / "bin" / "python")


def test_the_wheel_has_the_sources_of_lambda_and_model_and_says_that_it_is_typed(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    for source in ("lambda_src", "model_src"):
        in_checkout = {
            f"sm_constructs/_src/{path.relative_to(ROOT).as_posix()}"
            for path in (ROOT / source).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert len(in_checkout) > 5
        assert in_checkout <= names
    assert {"sm_constructs/py.typed", "sm_client/py.typed", "sm_local/py.typed"} <= names


def test_the_wheel_has_nothing_of_this_machines_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert [name for name in names if name.endswith((".pyc", ".DS_Store")) or "__pycache__" in name] == []
    assert {name.split("/")[0].split("-")[0] for name in names} == {"sm_constructs", "sm_client", "sm_local"}


def test_without_bundles_synth_says_how_to_make_them(project: CleanProject) -> None:
    done = project.run("app.py")

    assert done.returncode == 1
    assert "run `python -m sm_constructs bundle --python 3.13 --architecture arm64` before synth" in done.stderr


def test_an_app_in_another_directory_synthesizes_from_the_wheel_alone(project: CleanProject) -> None:
    bundled = project.run("-m", "sm_constructs", "bundle")
    assert bundled.returncode == 0, bundled.stderr

    synthesized = project.run("app.py")

    assert synthesized.returncode == 0, synthesized.stderr
    assets = [zipfile.ZipFile(path).namelist() for path in (project.directory / "cdk.out").glob("asset.*.zip")]
    code = next(names for names in assets if "text_classification/handlers/classify.py" in names)
    assert {"text_classification/handlers/annotate.py", "textprep/__init__.py"} <= set(code)
    assert any("python/pydantic/__init__.py" in names for names in assets)
    assert any("python/spacy/__init__.py" in names for names in assets)
    assert (project.directory / "cdk.out/Reviews.template.json").is_file()


def test_the_models_sources_come_with_the_wheel(project: CleanProject) -> None:
    found = project.run(
        "-c", "from sm_constructs._sources import source_directory; print(source_directory('model_src'))"
    )

    directory = Path(found.stdout.strip())
    assert directory.is_relative_to(project.python.parents[1])
    assert (directory / "train.py").is_file()


def test_the_library_imports_without_what_only_the_demo_and_tests_need(project: CleanProject) -> None:
    done = project.run(
        "-c",
        "import importlib.util, sm_constructs\n"
        "[getattr(sm_constructs, name) for name in sm_constructs.__all__]\n"
        "print([name for name in ('boto3', 'ministack', 'sklearn') if importlib.util.find_spec(name)])",
    )

    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
