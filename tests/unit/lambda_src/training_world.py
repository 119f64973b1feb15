"""What the tests of trainings share: a bucket, and rules as the stack writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from moto import mock_aws
from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.datasets import S3Datasets
from text_classification.logic.dataset_check import check_part
from text_classification.logic.dataset_combination import Combination
from text_classification.logic.training_plans import Planner
from text_classification.logic.training_requests import TrainingRules

RULES = TrainingRules(
    hyperparameters={
        "ngram_min": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
        "ngram_max": {"type": "integer", "minimum": 1, "maximum": 10, "default": 4},
        "loss": {
            "type": "string",
            "enum": ["log_loss", "hinge", "squared_hinge"],
            "one_instance": ["hinge"],
            "default": "squared_hinge",
        },
        "regularization": {
            "anyOf": [{"const": 0}, {"type": "number", "minimum": 1e-6, "maximum": 1e6}],
            "default": 0.0,
        },
        "text_features": {"type": "boolean", "default": False},
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1, "default": 20240601},
    },
    max_trials=4,
    max_instance_count=2,
)
BUCKET = "artifacts"


@dataclass
class World:
    datasets: S3Datasets
    part_bytes: int = 1024 * 1024

    def put(self, key: str, content: bytes | str) -> None:
        self.datasets.write(key, content.encode() if isinstance(content, str) else content)

    def rows(self, key: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.datasets.content(key) or b"").splitlines()]

    def document(self, key: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.datasets.content(key) or b"null")
        return document

    def plan(self, training_id: str = "t-1", **request: Any) -> dict[str, Any]:
        planner = Planner(datasets=self.datasets, rules=RULES, job_prefix="train", part_bytes=self.part_bytes)
        # As Step Functions passes it on
        plan: dict[str, Any] = json.loads(json.dumps(planner.plan(training_id, {"dataset": "datasets/d/", **request})))
        return plan

    def check(self, plan: Mapping[str, Any], *, reverse: bool = False) -> dict[str, Any]:
        parts = json.loads(self.datasets.content(plan["parts"]) or b"")
        for part in reversed(parts) if reverse else parts:
            check_part(part, plan["work"], self.datasets)
        return Combination(plan=plan, datasets=self.datasets).run()


def json_lines(rows: Mapping[str, str], **fields: str) -> str:
    """Return rows by text."""
    return "".join(
        json.dumps({"text": text, "label": label, **fields}, ensure_ascii=False) + "\n" for text, label in rows.items()
    )


def texts(label: str, count: int) -> dict[str, str]:
    return {f"{label} number {index}": label for index in range(count)}


@contextmanager
def world_in_memory() -> Iterator[World]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield World(datasets=S3Datasets(client=client, bucket=BUCKET, budget=TimeBudget(total_seconds=10)))
