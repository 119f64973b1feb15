"""Train in a local AWS, draw the pictures of docs/training.md: ``PYTHONPATH=model_src python -m tests.trainings``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import boto3

from tests.local_aws import ROOT, running_local_aws
from tests.tiny_model import train_tiny_model
from tests.trainings.data import real_rows
from tests.trainings.stack import deploy_trainings
from tools.draw_state_machine import definition, dot, fates, svg

_REQUEST = {
    "dataset": "datasets/reviews-and-mail/",
    "hyperparameters": {"regularization": 1.0},
    "trials": {"ngram_max": [2, 3], "max_features": [4_000]},
}


def main() -> None:
    """Deploy, train, and draw."""
    with tempfile.TemporaryDirectory() as directory, running_local_aws(Path(directory, "aws")) as aws:
        train_tiny_model(Path(directory, "model"))
        stack = deploy_trainings(aws, Path(directory, "model"))
        stack.put("datasets/reviews-and-mail/rows.jsonl", real_rows(2_000))
        execution = stack.start("Training", _REQUEST)
        print(json.dumps(stack.wait(execution)["output"], indent=2, ensure_ascii=False))
        (template,) = (aws.state.root / "cdk.out.trainings").glob("Trainings.template.json")
        synthesized = json.loads(template.read_text())
        workflow = definition(synthesized, "TrainingStateMachine")
        _write("training", svg(dot(workflow)))
        _write("promotion", svg(dot(definition(synthesized, "TrainingPromotionStateMachine"))))
        _write("training-execution", svg(dot(workflow, fates(_history(execution)))))


def _history(execution: str) -> dict[str, Any]:
    pages = boto3.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution)
    return {"events": [event for page in pages for event in page["events"]]}


def _write(name: str, picture: str) -> None:
    path = ROOT / "docs" / f"{name}.svg"
    path.write_text(picture, encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
