"""The documentation's Hugging Face model, in the version of transformers that its container has.

The container loads the archive's root with ``transformers.pipeline``, and puts the functions of ``code/inference.py``
in the place of its own (HuggingFaceHandlerService of sagemaker-huggingface-inference-toolkit).
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

transformers = pytest.importorskip("transformers", reason="transformers is not in uv.lock: make test-torch has it")

MODEL = Path(__file__).parents[2] / "docs" / "examples" / "hugging_face"
TEXTS = ["click for a free prize", "thanks for the patch"]


def test_the_container_alone_can_load_the_archives_root() -> None:
    classifier = transformers.pipeline(task="text-classification", model=str(MODEL), device=-1)

    assert [each["label"] for each in classifier(TEXTS)] == ["spam", "not spam"]


def test_the_script_answers_with_the_endpoints_payload() -> None:
    script = runpy.run_path(str(MODEL / "code" / "inference.py"))
    model = script["model_fn"](str(MODEL))

    texts = script["input_fn"](json.dumps({"texts": TEXTS}), "application/json")
    answer = json.loads(script["output_fn"](script["predict_fn"](texts, model), "application/json"))

    assert answer["model_version"] == json.loads((MODEL / "config.json").read_text())["model_version"]
    assert [each["label"] for each in answer["results"]] == ["spam", "not spam"]
    for each in answer["results"]:
        assert each["score"] == each["scores"][each["label"]] == max(each["scores"].values())
        assert sum(each["scores"].values()) == pytest.approx(1, abs=1e-6)


def test_the_model_can_be_made_again(tmp_path: Path) -> None:
    from tools.make_hugging_face_example import make

    make(tmp_path)

    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        assert json.loads((tmp_path / name).read_text()) == json.loads((MODEL / name).read_text())
    classifier = transformers.pipeline(task="text-classification", model=str(tmp_path), device=-1)
    assert [each["label"] for each in classifier(TEXTS)] == ["spam", "not spam"]
