"""What the demo refuses, and how it sends and shows texts; tests/e2e/test_cli.py runs the whole of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from rich.console import Console

from sm_client import Classification
from sm_local.console import console
from sm_local.datasets import LabelledText
from sm_local.demo import Outcome, accuracy, as_jobs, check, outcomes_table, shorten
from sm_local.errors import LocalAwsError
from tests.unit.recording_api import Api, serving


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as api:
        yield api


def outcome(*, correct: bool = True, model_version: str = "v2") -> Outcome:
    label = "good" if correct else "bad"
    result = Classification(label=label, score=0.9, scores={label: 0.9}, language="zh")
    text = LabelledText(text="很好", label="good")
    return Outcome(text=text, result=result, model_version=model_version, seconds=0.01)


def test_plausible_outcomes_of_the_deployed_model_pass() -> None:
    outcomes = [outcome()] * 8 + [outcome(correct=False)] * 2
    assert accuracy(outcomes) == 0.8
    check({"zh": outcomes}, "v2")


def test_too_many_wrong_labels_in_one_language_fail() -> None:
    wrong = [outcome()] * 7 + [outcome(correct=False)] * 3
    with pytest.raises(LocalAwsError, match="Only 70% of the zh texts"):
        check({"en": [outcome()] * 10, "zh": wrong}, "v2")


def test_an_answer_of_another_model_fails() -> None:
    with pytest.raises(LocalAwsError, match="Model v1 answered, and v2 was deployed"):
        check({"zh": [outcome(), outcome(model_version="v1")]}, "v2")


@pytest.mark.parametrize(("labels", "same"), [(["good", "good", "bad"], 2), (["good"] * 3, 3)])
def test_the_labels_of_jobs_are_compared_with_those_of_calls(api: Api, labels: list[str], same: int) -> None:
    job = {"job_id": "a", "status": "queued", "request_id": "r-1"}
    results = [{"label": label, "score": 0.9, "scores": {}, "language": "zh"} for label in labels]
    ended = {"status": "succeeded", "result_url": "s3://b/k", "model_version": "v2", "results": results}
    api.answers = [(202, job), (200, {**job, **ended})]

    assert as_jobs(api.client(), [outcome()] * 3) == f"1 jobs: {same} of 3 labels are those of the calls above."


def test_labels_scores_and_times_are_shown_in_full_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = LabelledText(text="a long text " * 20, label="not spam")
    result = Classification(label="not spam", score=0.5, scores={}, language="en")
    console.print(outcomes_table([Outcome(text=long, result=result, model_version="v2", seconds=12.3456)]))
    assert re.search(r"│ a long .*… │ not spam │ not spam │ 0\.50  │ 12\.346 s │", capsys.readouterr().out)


@pytest.mark.parametrize("text", ["物流很快，包装也很好，下次还会再来", "Subject\n\nbody   of a long mail"])
def test_a_shown_text_is_one_line_of_the_given_width(text: str) -> None:
    shown = shorten(text, 12)
    assert Console().measure(shown).maximum <= 12
    assert "\n" not in shown.plain
    assert shown.plain.endswith("…")
    assert shorten("short", 12).plain == "short"
