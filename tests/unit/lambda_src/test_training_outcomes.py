"""Which trial is best, whether its model is good enough, and why a training failed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from text_classification.logic.failures import explain, message_of
from text_classification.logic.judgement import judge, registry_properties
from text_classification.logic.trial_selection import TrialsFailedError, select


def completed(number: int, score: float | None, **job: Any) -> dict[str, Any]:
    """Return what Step Functions has of a trial whose job ended by itself: the answer of DescribeTrainingJob."""
    metrics = [
        {"MetricName": name, "Value": value, "Timestamp": 1717243200000}
        for name, value in (("validation:accuracy", 0.9), ("validation:macro_f1", score))
        if value is not None
    ]
    return {
        "trial": {"name": f"t-{number}", "hyperparameters": {"ngram_max": str(number)}},
        "job": {
            "TrainingJobName": f"t-{number}",
            "TrainingJobStatus": "Completed",
            "SecondaryStatus": "Completed",
            "ModelArtifacts": {"S3ModelArtifacts": f"s3://b/t-{number}/output/model.tar.gz"},
            "FinalMetricDataList": metrics,
            **job,
        },
    }


def failed(number: int, cause: str | None, error: str = "SageMaker.AmazonSageMakerException") -> dict[str, Any]:
    return {
        "trial": {"name": f"t-{number}", "hyperparameters": {}},
        "error": {"Error": error, **({"Cause": cause} if cause else {})},
    }


JOB_FAILED = json.dumps(
    {
        "TrainingJobName": "t-3",
        "TrainingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/t-3",
        "TrainingJobStatus": "Failed",
        "SecondaryStatus": "Failed",
        "FailureReason": "AlgorithmError: ExecuteUserScriptError, exit code: 1",
    }
)


def test_the_best_by_macro_f1_wins_and_failed_trials_do_not_fail_the_others() -> None:
    selected = select([completed(1, 0.8), completed(2, 0.9), failed(3, JOB_FAILED), completed(4, 0.9)])

    assert selected["best"] == {
        "name": "t-2",
        "hyperparameters": {"ngram_max": "2"},
        "model_artifacts": "s3://b/t-2/output/model.tar.gz",
        "metrics": {"validation:accuracy": 0.9, "validation:macro_f1": 0.9},
    }
    assert selected["failed"] == [
        {"name": "t-3", "cause": "training job t-3 failed: AlgorithmError: ExecuteUserScriptError, exit code: 1"}
    ]
    assert [trial["name"] for trial in selected["trials"]] == ["t-1", "t-2", "t-3", "t-4"]


@pytest.mark.parametrize(
    ("trial", "cause"),
    [
        (completed(1, None), "the training job has no metric validation:macro_f1: it has validation:accuracy"),
        (completed(1, float("nan")), "the training job has no metric validation:macro_f1"),
        (
            completed(1, 0.9, TrainingJobStatus="Stopped", SecondaryStatus="MaxRuntimeExceeded"),
            "the training job ended as Stopped: MaxRuntimeExceeded",
        ),
        (completed(1, 0.9, ModelArtifacts={}), "the training job has no model artifacts"),
        (failed(1, None, "States.Timeout"), "it took longer than it may"),
    ],
)
def test_a_trial_without_a_model_to_compare_has_failed(trial: dict[str, Any], cause: str) -> None:
    (told,) = select([trial, completed(2, 0.1)])["failed"]

    assert told["cause"].startswith(cause)


def test_without_any_model_the_cause_of_each_is_told() -> None:
    with pytest.raises(TrialsFailedError, match=r"no trial made a model: t-1: out of memory; t-2: it took longer"):
        select([failed(1, "out of memory"), failed(2, None, "States.Timeout")])


def evaluation(candidate: float, in_service: float | None) -> dict[str, Any]:
    def measured(version: str, macro_f1: float) -> dict[str, Any]:
        return {
            "model_version": version,
            "texts": 1_200,
            "accuracy": 0.95,
            "macro_f1": macro_f1,
            "per_class": {"good": {"precision": 1, "recall": 1, "f1": 1, "support": 600}},
            "confusion_matrix": {"labels": ["good"], "rows": [[1]]},
            "latency_ms": {"p50": 1.5, "p95": 3.0},
            "size_bytes": 1_000_000,
        }

    return {
        "training_id": "t-1",
        "model_version": "2-b",
        "format": "native",
        "candidate": measured("2-b", candidate),
        "in_service": None if in_service is None else measured("1-a", in_service),
    }


@pytest.mark.parametrize(
    ("candidate", "in_service", "margin", "promote"),
    [
        (0.5, None, 0.2, True),
        (0.91, 0.90, 0.0, True),
        (0.90, 0.90, 0.0, False),
        (0.1 + 0.2, 0.3, 0.0, False),  # the same but for the rounding
        (0.89, 0.90, 0.0, False),
        (0.90, 0.80, 0.1, True),  # 0.09999999999999998
        (0.90, 0.81, 0.1, False),
    ],
)
def test_a_model_is_promoted_when_it_is_better_by_the_margin(
    candidate: float, in_service: float | None, margin: float, promote: bool
) -> None:
    assert judge(evaluation(candidate, in_service), margin)["promote"] is promote


def test_a_model_in_service_that_cannot_be_measured_is_not_taken_for_a_worse_one() -> None:
    document = evaluation(0.9, 0.0)
    document["in_service"] |= {
        "error": "ModuleNotFoundError: No module named 'theirs'",
        "model_version": None,
        "unanswered": 200,
        "texts": 200,
    }

    judgement = judge(document, 0.0)
    assert judgement["promote"] is False
    assert "cannot be measured" in judgement["reason"]
    assert "theirs" in judgement["reason"]


def test_a_model_in_service_that_fails_at_some_texts_is_compared_all_the_same() -> None:
    document = evaluation(0.9, 0.5)
    document["in_service"] |= {"error": "ValueError: a text", "unanswered": 1, "texts": 200}

    assert judge(document, 0.0)["promote"] is True


def test_the_registry_gets_what_it_takes() -> None:
    judgement = judge(evaluation(0.9, 0.5), 0.0)
    plan = {"training_id": "t", "dataset": "datasets/评论 (1)/"}
    properties = registry_properties(plan, judgement, {"card": ""}, {"note": "a, b" * 100})

    assert properties["dataset"] == "datasets/评论 _1_/"
    assert properties["hyperparameter:note"] == ("a_ b" * 100)[:256]
    assert "card" not in properties
    many = registry_properties(plan, judgement, {}, {f"h{number}": "1" for number in range(99)})
    assert len(many) == 50


def test_a_judgement_says_why_and_is_small() -> None:
    judgement = judge(evaluation(0.91, 0.90), 0.02)

    assert judgement["reason"] == (
        "macro-F1 0.9100 on 1,200 test texts, the model in service 0.9000: better by 0.0100, "
        "and it must be better by 0.02"
    )
    assert (judgement["model_version"], judgement["size_bytes"]) == ("2-b", 1_000_000)
    assert judgement["latency_ms"] == {"p50": 1.5, "p95": 3.0}
    assert judgement["candidate"].keys() == judgement["in_service"].keys()
    assert "per_class" not in judgement["candidate"]


@pytest.mark.parametrize(
    ("error", "cause", "told"),
    [
        (
            "DatasetError",
            '{"errorMessage":"datasets/d/: no rows","errorType":"DatasetError","stackTrace":["  File"]}',
            "datasets/d/: no rows",
        ),
        ("Runtime.ExitError", '{"errorType":"Runtime.ExitError"}', "Runtime.ExitError, without a message"),
        (
            "States.TaskFailed",
            JOB_FAILED,
            "training job t-3 failed: AlgorithmError: ExecuteUserScriptError, exit code: 1",
        ),
        (
            "States.TaskFailed",
            '{"ProcessingJobName":"p","ProcessingJobStatus":"Failed","ExitMessage":"no model"}',
            "processing job p failed: no model",
        ),
        (
            "States.TaskFailed",
            '{"TrainingJobName":"t","TrainingJobStatus":"Stopped","SecondaryStatus":"MaxWaitTimeExceeded"}',
            "training job t stopped: MaxWaitTimeExceeded",
        ),
        ("States.Timeout", "", "it took longer than it may"),
        ("States.Timeout", None, "it took longer than it may"),
        ("X", "plain words", "plain words"),
        ("X", "3", "3"),
        ("X", '{"a": 1}', '{"a": 1}'),
        ("X", json.dumps({"Error": "Y", "Cause": '{"errorMessage": "inner", "errorType": "Y"}'}), "inner"),
        (None, None, "for no reason that AWS told"),
    ],
)
def test_causes_are_told_in_words(error: str | None, cause: str | None, told: str) -> None:
    assert explain(error, cause).cause == told


def test_the_mail_keeps_to_what_sns_takes() -> None:
    message = message_of("t" * 36, "State" * 30, explain("E", "很多"))

    assert len(message["subject"]) <= 100
    assert message["subject"].isascii()
    assert message["message"].endswith("E: 很多\n")
