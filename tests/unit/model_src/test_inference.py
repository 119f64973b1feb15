from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import werkzeug
from inference import Model, RequestError, input_fn, model_fn, output_fn, predict_fn

from tests.tiny_model import EXAMPLES, train_tiny_model


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    train_tiny_model(directory)
    return directory


@pytest.fixture(scope="module")
def model(directory: Path) -> Model:
    return model_fn(str(directory))


def call(model: Model, body: str | bytes, content_type: str | None, accept: str | None) -> Any:
    return output_fn(predict_fn(input_fn(body, content_type), model), accept)


def test_the_model_says_its_version_and_gives_label_score_and_all_scores(model: Model, directory: Path) -> None:
    body, media_type = call(model, '{"texts": ["很喜欢", "free money"]}', "application/json", "application/json")
    answer = json.loads(body)
    assert media_type == "application/json"
    assert answer["model_version"] == json.loads((directory / "metadata.json").read_text())["model_version"]
    assert [result["label"] for result in answer["results"]] == ["good", "spam"]
    for result in answer["results"]:
        assert set(result) == {"label", "score", "scores"}
        assert set(result["scores"]) == {"good", "bad", "spam", "not spam"}
        assert result["score"] == result["scores"][result["label"]] == max(result["scores"].values())
        assert sum(result["scores"].values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("count", [0, 1, 100])
def test_a_batch_is_answered_in_one_call_and_in_its_order(model: Model, count: int) -> None:
    texts = [EXAMPLES[index % len(EXAMPLES)][0] for index in range(count)]
    together = predict_fn(texts, model)
    assert not isinstance(together, RequestError)
    assert len(together["results"]) == count
    for text, result in zip(texts[:5], together["results"], strict=False):
        (alone,) = predict_fn([text], model)["results"]
        assert result["label"] == alone["label"]
        assert result["scores"] == pytest.approx(alone["scores"], abs=1e-6)


@pytest.mark.parametrize("text", ["", " \n", "\ud800", "a" * 10_000, "👩\u200d🚀"])
def test_any_string_gets_a_label(model: Model, text: str) -> None:
    prediction = predict_fn([text], model)
    assert not isinstance(prediction, RequestError)
    assert prediction["results"][0]["score"] >= 0.25


def test_a_text_is_prepared_by_the_model_itself(model: Model) -> None:
    plain, wide = predict_fn(["win free money", "  ＷＩＮ　ｆｒｅｅ\r\n ｍｏｎｅｙ "], model)["results"]
    assert plain == wide


@pytest.mark.parametrize("media_type", ["application/json", "application/jsonlines", "text/csv"])
def test_the_answer_has_the_type_that_is_accepted(model: Model, media_type: str) -> None:
    body, answered = call(model, "free money\n", "text/csv", media_type)
    assert answered == media_type
    assert "spam" in body


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("image/png, text/csv;q=0.5", "text/csv"),
        ("Text/CSV; charset=utf-8", "text/csv"),
    ],
)
def test_the_first_supported_type_is_answered_and_json_without_a_wish(
    model: Model, accept: str | None, media_type: str
) -> None:
    assert call(model, '{"texts": ["a"]}', None, accept)[1] == media_type


@pytest.mark.parametrize(
    ("body", "content_type", "texts"),
    [
        ('{"texts": ["好"]}', "application/json", ["好"]),
        ('{"texts": ["好"]}'.encode(), "application/json; charset=utf-8", ["好"]),
        ('\ufeff{"texts": ["好"]}', None, ["好"]),
        ('{"text": "好"}\n{"text": "b"}\n'.encode(), "application/jsonlines", ["好", "b"]),
        ('\ufeff好\r\n"a,b"\r\n'.encode(), "TEXT/CSV", ["好", "a,b"]),
    ],
)
def test_requests_come_decoded_or_not_in_three_types(
    body: str | bytes, content_type: str | None, texts: list[str]
) -> None:
    assert input_fn(body, content_type) == texts


@dataclass(frozen=True)
class Bad:
    body: str | bytes
    status: int
    message: str
    content_type: str = "application/json"
    accept: str = "application/json"


BAD_REQUESTS = [
    Bad("{", 400, "the body is not JSON"),
    Bad(b"\xff{", 400, "can't decode byte 0xff"),
    Bad('{"texts": [1]}', 400, "texts[0] must be a string"),
    Bad("a,b\n", 400, "line 1 has 2 columns", content_type="text/csv"),
    Bad("a", 415, "content type is text/plain: must be one of application/json", content_type="text/plain"),
    Bad('{"texts": []}', 406, "accept is image/png: must name one of application/json", accept="image/png"),
]


@pytest.mark.parametrize("bad", BAD_REQUESTS)
def test_a_bad_request_is_the_callers_error(model: Model, bad: Bad) -> None:
    with pytest.raises(RequestError) as caught:
        call(model, bad.body, bad.content_type, bad.accept)
    assert caught.value.status_code == bad.status
    assert bad.message in caught.value.message
    assert caught.value.phrase.isascii()


@pytest.fixture
def in_flask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for Flask, which SageMaker's scikit-learn container serves with and this project does not need."""
    stand_in = SimpleNamespace(has_request_context=lambda: True, Response=werkzeug.Response)
    monkeypatch.setitem(sys.modules, "flask", stand_in)


@pytest.mark.usefixtures("in_flask")
@pytest.mark.parametrize("bad", BAD_REQUESTS)
def test_in_the_scikit_learn_container_nothing_is_raised_and_the_answer_is_a_flask_response(
    model: Model, bad: Bad
) -> None:
    response = call(model, bad.body, bad.content_type, bad.accept)
    assert isinstance(response, werkzeug.Response)
    assert response.status_code == bad.status
    assert bad.message in response.get_data(as_text=True)
