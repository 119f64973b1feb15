"""The documentation's models of TensorFlow and Hugging Face, against what their containers document.

TensorFlow: https://github.com/aws/sagemaker-tensorflow-serving-container (tfs_utils.find_models, python_service.py)
Hugging Face: https://github.com/aws/sagemaker-huggingface-inference-toolkit; tests/torch loads that model.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import runpy
import struct
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aws_cdk as cdk
import pytest

from sm_constructs import Framework, Model, ModelData

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
TENSORFLOW, HUGGING_FACE = EXAMPLES / "tensorflow", EXAMPLES / "hugging_face"


@pytest.fixture
def opt_ml_model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What a container finds in /opt/ml/model: the archive of the example's model, unpacked."""
    directory, framework = request.param
    app = cdk.App(outdir=str(tmp_path / "out"), builtin_cloud_formation_validation=False)
    stack = cdk.Stack(app, "Stack")
    Model(stack, "Model", data=ModelData.from_directory(directory), framework=framework)
    app.synth()
    (archive,) = (tmp_path / "out").glob("asset.*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "opt" / "ml" / "model", filter="data")
    return tmp_path / "opt" / "ml" / "model"


@pytest.mark.parametrize("opt_ml_model", [(TENSORFLOW, Framework.tensorflow())], indirect=True, ids=[""])
def test_tensorflow_serving_finds_one_model_in_one_version(opt_ml_model: Path) -> None:
    found = [Path(place) for place, _, files in os.walk(opt_ml_model) if "saved_model.pb" in files]

    (version,) = found
    assert re.fullmatch(r"\d+", version.name)
    assert version.parent == opt_ml_model
    assert (version / "variables" / "variables.index").is_file()
    assert b"serving_default" in (version / "saved_model.pb").read_bytes()


def handlers() -> dict[str, Any]:
    return runpy.run_path(str(TENSORFLOW / "code" / "inference.py"))


CONTEXT = SimpleNamespace(request_content_type="application/json", accept_header="application/json")


def test_the_tensorflow_script_asks_tensorflow_serving_for_each_text() -> None:
    script = handlers()
    assert "handler" not in script, "a handler would be taken instead of the two"

    asked = script["input_handler"](io.BytesIO('{"texts": ["free prize", "谢谢"]}'.encode()), CONTEXT)

    assert json.loads(asked) == {"instances": ["free prize", "谢谢"]}


def test_the_tensorflow_script_answers_with_the_endpoints_payload() -> None:
    metadata = json.loads((TENSORFLOW / "code" / "metadata.json").read_text())
    served = SimpleNamespace(status_code=200, content=b'{"predictions": [[0.75, 0.25], [0.5, 0.5]]}')

    body, media_type = handlers()["output_handler"](served, CONTEXT)

    assert media_type == "application/json"
    answer = json.loads(body)
    assert answer["model_version"] == metadata["model_version"]
    assert answer["results"][0] == {"label": "spam", "score": 0.75, "scores": {"spam": 0.75, "not spam": 0.25}}
    assert len(answer["results"]) == 2


def test_the_tensorflow_script_passes_on_what_tensorflow_serving_refuses() -> None:
    refused = SimpleNamespace(status_code=400, content=b'{"error": "no such input"}')

    with pytest.raises(ValueError, match="no such input"):
        handlers()["output_handler"](refused, CONTEXT)


@pytest.mark.parametrize(
    "opt_ml_model",
    [
        (HUGGING_FACE, Framework.hugging_face(task="text-classification")),
        (HUGGING_FACE, Framework.hugging_face(entry_point="inference.py")),
    ],
    indirect=True,
    ids=["the container's own functions", "a script"],
)
def test_the_hugging_face_archive_has_what_the_pipeline_loads(opt_ml_model: Path) -> None:
    configuration = json.loads((opt_ml_model / "config.json").read_text())
    assert configuration["architectures"] == ["BertForSequenceClassification"], "the container infers the task from it"
    assert set(configuration["label2id"]) == {"spam", "not spam"}
    tokens = json.loads((opt_ml_model / "tokenizer.json").read_text())["model"]["vocab"]
    assert len(tokens) == configuration["vocab_size"]
    weights = (opt_ml_model / "model.safetensors").read_bytes()
    header = json.loads(weights[8 : 8 + struct.unpack("<Q", weights[:8])[0]])
    assert header["classifier.weight"]["shape"] == [2, configuration["hidden_size"]]


def test_the_hugging_face_script_defines_what_the_container_replaces() -> None:
    tree = ast.parse((HUGGING_FACE / "code" / "inference.py").read_text())

    functions = {node.name: len(node.args.args) for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {name: functions[name] for name in ("model_fn", "input_fn", "predict_fn", "output_fn")} == {
        "model_fn": 1,
        "input_fn": 2,
        "predict_fn": 2,
        "output_fn": 2,
    }
    assert "transform_fn" not in functions, "cannot be combined with the others"
