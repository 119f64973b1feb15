"""The states of deployed trainings and promotions, run without those before them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3

from tests.local_aws import Stack
from tests.permissions import resource_of
from tests.sagemaker_account import eventually


def rows(first: int) -> bytes:
    """Return texts of two labels, others for another number."""
    return b"".join(
        json.dumps({"text": f"{text}, number {number}", "label": label, "language": "en"}).encode() + b"\n"
        for number in range(first, first + 30)
        for text, label in (("very good", "good"), ("free money", "spam"))
    )


@dataclass(frozen=True)
class System:
    """The deployed stack, of which nothing is promoted, and whose state machines are entered in the middle.

    Args:
        stack: The stack.
    """

    stack: Stack

    @property
    def bucket(self) -> str:
        return self.stack.outputs["ArtifactBucketName"]

    def machine(self, name: str) -> str:
        return self.stack.outputs[f"{name}StateMachineArn"]

    def function(self, part: str) -> str:
        return resource_of(self.stack.name, "AWS::Lambda::Function", part)

    def put(self, key: str, content: bytes) -> str:
        boto3.client("s3").put_object(Bucket=self.bucket, Key=key, Body=content)
        return key

    def call(self, part: str, event: object) -> Any:
        """Call a function and return its answer; a failure is the ``errorMessage`` of it."""
        answer = boto3.client("lambda").invoke(FunctionName=self.function(part), Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read())

    def training(self) -> dict[str, Any]:
        """Return what the states of a training hand on, with data for its jobs."""
        training_id = uuid4().hex[:12]
        request = {"dataset": self.put("datasets/permissions/rows.jsonl", rows(0)), "feedback": False}
        plan = self.call("TrainingPlan", {"training_id": training_id, "request": request})
        for first, name in enumerate(("train/shard-00000", "validation/validation", "test/test")):
            self.put(f"{plan['prefix']}{name}.jsonl", rows(100 * first))
        (trial,) = plan["trials"]
        in_service = self.call("TrainingPromotionInService", {})
        bucket, _, key = in_service["model_data"].removeprefix("s3://").partition("/")
        candidate = f"{plan['prefix']}jobs/{trial['name']}/output/model.tar.gz"
        boto3.client("s3").copy({"Bucket": bucket, "Key": key}, self.bucket, candidate)
        return {
            "plan": plan,
            "trial": trial,
            "training_id": training_id,
            "package_arn": "arn:aws:sagemaker:us-east-1:000000000000:model-package/none/1",
            "dataset": {"dataset_hash": "0" * 64},
            "selection": {"best": {**trial, "model_artifacts": f"s3://{self.bucket}/{candidate}"}},
            "in_service": in_service,
            "judgement": {
                "properties": {"training_id": "by-itself"},
                "promote": False,
                "reason": "not better",
                "model_version": "none",
                "candidate": {"accuracy": 0.5, "macro_f1": 0.5},
            },
            "failed_state": "JudgeModel",
            "explanation": {"error": "None", "cause": "none", "subject": "Nothing failed"},
        }

    def promotion(self) -> dict[str, Any]:
        """Return what the states of a promotion hand on."""
        request = {"model_data": f"s3://{self.bucket}/models/none/model.tar.gz"}
        asked = {"execution": uuid4().hex[:12], "state_machine": self.machine("Promotion"), "request": request}
        plan = self.call("TrainingPromotionPlan", asked)
        failure = {"Error": "None", "Cause": "none"}
        return {
            "plan": plan,
            "looks": 0,
            "begun": time.time() * 1000,
            "request": request,
            "forget": False,
            "failure": failure,
        }

    def variables(self, machine: str) -> dict[str, Any]:
        return self.training() if machine == "Training" else self.promotion()

    @contextmanager
    def running(self, machine: str, state: str, variables: Mapping[str, Any]) -> Iterator[str]:
        """Run one state with its state machine's role, without trying twice; yields the execution's ARN."""
        states = self._states(machine)
        states |= states.get("Trials", {}).get("ItemProcessor", {}).get("States", {})
        task = {name: value for name, value in states[state].items() if name not in ("Retry", "Catch", "Next")}
        with self._executing(machine, {state: {**task, "End": True}}, state, variables) as execution:
            yield execution

    @contextmanager
    def going_on(
        self,
        machine: str,
        state: str,
        variables: Mapping[str, Any],
        *,
        others: Mapping[str, Mapping[str, object]] | None = None,
        before: Mapping[str, object] | None = None,
        **fields: object,
    ) -> Iterator[str]:
        """Run a state and all that follow it, with other fields than deployed, perhaps a task ``before`` it.

        Yields the execution's ARN.
        """
        states = self._states(machine)
        for name, changed in {state: fields, **(others or {})}.items():
            states[name] |= changed
        if before:
            states["Before"] = {"Type": "Task", **before, "Next": state}
        with self._executing(machine, states, "Before" if before else state, variables) as execution:
            yield execution

    def _states(self, machine: str) -> dict[str, Any]:
        client = boto3.client("stepfunctions")
        deployed = client.describe_state_machine(stateMachineArn=self.machine(machine))
        states: dict[str, Any] = json.loads(deployed["definition"])["States"]
        return states

    @contextmanager
    def _executing(
        self, machine: str, states: Mapping[str, Any], first: str, variables: Mapping[str, Any]
    ) -> Iterator[str]:
        client = boto3.client("stepfunctions")
        given = {
            "Type": "Pass",
            "Assign": {name: f"{{% $states.input.{name} %}}" for name in variables},
            "Next": first,
        }
        definition = {"QueryLanguage": "JSONata", "StartAt": "Given", "States": {"Given": given, **states}}
        alone = client.create_state_machine(
            name=f"alone-{uuid4().hex}",
            definition=json.dumps(definition),
            roleArn=client.describe_state_machine(stateMachineArn=self.machine(machine))["roleArn"],
        )["stateMachineArn"]
        try:
            yield client.start_execution(stateMachineArn=alone, input=json.dumps(variables))["executionArn"]
        finally:
            client.delete_state_machine(stateMachineArn=alone)


def ended(execution: str) -> dict[str, Any]:
    """Wait until an execution has ended and return what DescribeExecution says."""

    def look() -> dict[str, Any] | None:
        found = dict(boto3.client("stepfunctions").describe_execution(executionArn=execution))
        return None if found["status"] == "RUNNING" else found

    return eventually(look)


def states_of(execution: str) -> list[str]:
    """Return the names of the states that an execution entered."""
    pages = boto3.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution)
    return [
        event["stateEnteredEventDetails"]["name"]
        for page in pages
        for event in page["events"]
        if "stateEnteredEventDetails" in event
    ]
