"""Patches of Step Functions."""

import json
import threading
import time
from typing import Any
from unittest import mock

import pytest
from ministack.services import (
    s3,
    stepfunctions,
)

from sm_local import patches

_ROLE = "arn:aws:iam::000000000000:role/model"
_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:machine"
_END: dict[str, Any] = {"Type": "Pass", "End": True}


def _execution(states: dict[str, Any], language: str = "JSONata", **given: Any) -> dict[str, Any]:
    """Run a state machine to its end and return what StartSyncExecution answers, with the output as JSON."""
    definition = {"QueryLanguage": language, "StartAt": next(iter(states)), "States": states}
    stepfunctions._state_machines[_MACHINE] = {
        "name": "machine",
        "definition": json.dumps(definition),
        "roleArn": _ROLE,
    }
    request = {"stateMachineArn": _MACHINE, "input": json.dumps(given)}
    answer: dict[str, Any] = json.loads(stepfunctions._start_sync_execution(request)[2])
    return {**answer, "output": json.loads(answer["output"])}


def _task(resource: str = "arn:aws:states:::sagemaker:createModel", **others: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": resource, "End": True, **others}


def test_a_task_knows_whose_it_is_and_integrations_are_added() -> None:
    handled: list[Any] = []

    def handle(resource: str, arguments: Any) -> dict[str, Any]:
        execution = patches.step_functions.current_execution()
        handled.append((resource, arguments, execution.role_arn, execution.state_machine_arn))
        return {"done": True}

    states = {"Make": _task(Arguments="{% $states.input.request %}")}
    assert "not yet implemented in MiniStack" in _execution(states, request={"a": 1})["cause"]

    patches.step_functions.tell_tasks_their_execution()
    patches.step_functions.add_integrations({"arn:aws:states:::sagemaker:": handle})

    assert _execution(states, request={"a": 1})["output"] == {"done": True}
    assert handled == [("arn:aws:states:::sagemaker:createModel", {"a": 1}, _ROLE, _MACHINE)]


def test_a_stopped_execution_stays_stopped_and_begins_no_further_task() -> None:
    begun: list[str] = []

    def handle(resource: str, _arguments: Any) -> Any:
        begun.append(resource)
        (arn,) = stepfunctions._executions
        stepfunctions._stop_execution({"executionArn": arn, "cause": "enough"})
        raise patches.step_functions.task_error("States.TaskFailed", "stopped")

    caught = {"ErrorEquals": ["States.ALL"], "Next": "CleanUp"}
    branch = {"StartAt": "Make", "States": {"Make": _task(Catch=[caught]), "CleanUp": _task()}}
    states = {"Both": {"Type": "Parallel", "Branches": [branch], "End": True}}
    patches.step_functions.add_integrations({"arn:aws:states:::sagemaker:": handle})
    assert _execution(states, "JSONPath")["status"] == "FAILED"
    assert len(begun) == 2
    stepfunctions.reset()
    begun.clear()

    patches.step_functions.tell_tasks_their_execution()
    patches.step_functions.authorize_tasks(lambda *_: None)

    assert _execution(states, "JSONPath")["status"] == "ABORTED"
    assert len(begun) == 1


@pytest.mark.parametrize("pattern", ["", ".waitForTaskToken"])
def test_a_task_may_do_only_what_the_state_machines_role_may(pattern: str) -> None:
    def check(resource: str, arguments: Any, execution: patches.step_functions.Execution) -> None:
        raise patches.step_functions.task_error("Denied", f"{execution.role_arn} may not {resource} {arguments}")

    patches.step_functions.tell_tasks_their_execution()
    patches.step_functions.authorize_tasks(check)

    failed = _execution({"Make": _task(f"arn:aws:states:::sns:publish{pattern}", Arguments={"a": 1})})
    assert failed["error"] == "Denied"
    assert failed["cause"] == f"{_ROLE} may not arn:aws:states:::sns:publish{pattern} {{'a': 1}}"


def test_a_task_that_has_timed_out_is_told() -> None:
    told = threading.Event()

    def make(_resource: str, _arguments: Any) -> None:
        execution = patches.step_functions.current_execution()
        while execution.wants_task():
            time.sleep(0.01)
        told.set()

    patches.step_functions.tell_tasks_their_execution()
    patches.step_functions.add_integrations(
        {"arn:aws:states:::sagemaker:": make, "arn:aws:states:::aws-sdk:ssm:": lambda *_: {"told": told.wait(0.5)}}
    )
    caught = [{"ErrorEquals": ["States.Timeout"], "Next": "Ask"}]
    states = {
        "Make": _task(TimeoutSeconds=0.2, Catch=caught),
        "Ask": _task("arn:aws:states:::aws-sdk:ssm:getParameter"),
    }
    assert _execution(states)["output"] == {"told": False}
    assert told.wait(5)  # as the execution has ended
    told.clear()

    patches.step_functions.stop_tasks_that_time_out()

    assert _execution(states)["output"] == {"told": True}


def test_branches_do_not_see_each_others_variables() -> None:
    def branch(value: str) -> dict[str, Any]:
        keep = {"Type": "Pass", "Assign": {"mine": value}, "Next": "Wait"}
        wait = {"Type": "Wait", "Seconds": 1, "Next": "Show"}
        return {"StartAt": "Keep", "States": {"Keep": keep, "Wait": wait, "Show": {**_END, "Output": "{% $mine %}"}}}

    states = {
        "Keep": {"Type": "Pass", "Assign": {"mine": "outer"}, "Next": "Both"},
        "Both": {"Type": "Parallel", "Branches": [branch("a"), branch("b")], "Next": "Show"},
        "Show": {**_END, "Output": "{% $append($states.input, $mine) %}"},
    }
    assert _execution(states)["output"] != ["a", "b", "outer"]

    patches.step_functions.give_branches_variables_of_their_own()

    assert _execution(states)["output"] == ["a", "b", "outer"]


def test_parallel_states_are_evaluated_in_jsonata() -> None:
    branch = {"StartAt": "Take", "States": {"Take": {**_END, "Output": "{% $states.input.part %}"}}}
    states = {
        "Both": {
            "Type": "Parallel",
            "Branches": [branch, branch],
            "Arguments": {"part": "{% $states.input.whole.part %}"},
            "Assign": {"first": "{% $states.result[0] %}"},
            "Output": {"both": "{% $states.result %}"},
            "Next": "Show",
        },
        "Show": {**_END, "Output": "{% {'first': $first, 'both': $states.input.both} %}"},
    }
    assert _execution(states, whole={"part": 7})["error"] == "States.QueryEvaluationError"

    patches.step_functions.run_parallel_states_in_jsonata()

    assert _execution(states, whole={"part": 7})["output"] == {"first": 7, "both": [7, 7]}


def _distributed(**others: Any) -> dict[str, Any]:
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED"}, "StartAt": "Item", "States": {"Item": _END}}
    return {"Each": {"Type": "Map", "ItemProcessor": processor, "End": True, **others}}


def test_distributed_maps_are_evaluated_in_jsonata() -> None:
    states = _distributed(
        Items="{% $states.input.parts %}",
        ItemSelector={
            "part": "{% $states.context.Map.Item.Value %}",
            "number": "{% $states.context.Map.Item.Index %}",
            "seed": "{% $states.input.seed %}",
        },
        MaxConcurrency="{% $states.input.seed %}",
        Output="{% $states.result.(part & '-' & number & '-' & seed) %}",
    )
    given: dict[str, Any] = {"parts": ["a", "b"], "seed": 7}
    assert _execution(states, **given)["output"] != ["a-0-7", "b-1-7"]

    patches.step_functions.complete_distributed_maps(mock.Mock(), mock.Mock())

    assert _execution(states, **given)["output"] == ["a-0-7", "b-1-7"]


def test_distributed_maps_read_items_in_batches_and_write_results_with_the_role() -> None:
    s3._create_bucket("bucket", b"", {})
    s3._put_object("bucket", "parts.json", b'["a", "b", "c"]', {})
    states = _distributed(
        ItemReader={
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Arguments": {"Bucket": "bucket", "Key": "{% $states.input.key %}"},
        },
        ItemBatcher={"MaxItemsPerBatch": 2},
        ResultWriter={"Resource": "arn:aws:states:::s3:putObject", "Arguments": {"Bucket": "bucket", "Prefix": "out"}},
    )
    checked, written = mock.Mock(), mock.Mock(return_value={"written": True})
    patches.step_functions.tell_tasks_their_execution()
    patches.step_functions.complete_distributed_maps(checked, written)

    assert _execution(states, key="parts.json")["output"] == {"written": True}
    reader, arguments, execution = checked.call_args.args
    assert reader["Resource"] == "arn:aws:states:::s3:getObject"
    assert (arguments, execution.role_arn) == ({"Bucket": "bucket", "Key": "parts.json"}, _ROLE)
    arguments, results, run, _ = written.call_args.args
    assert arguments == {"Bucket": "bucket", "Prefix": "out"}
    assert results == [{"Items": ["a", "b"]}, {"Items": ["c"]}]
    assert ":mapRun:machine/" in run


def test_distributed_maps_in_jsonpath_are_as_they_were() -> None:
    states = _distributed(
        ItemsPath="$.parts",
        ItemSelector={"part.$": "$$.Map.Item.Value", "seed.$": "$.seed"},
        ResultSelector={"all.$": "$"},
        ResultPath="$.results",
        OutputPath="$.results.all",
    )
    before = _execution(states, "JSONPath", parts=["a", "b"], seed=7)["output"]

    patches.step_functions.complete_distributed_maps(mock.Mock(), mock.Mock())

    after = _execution(states, "JSONPath", parts=["a", "b"], seed=7)["output"]
    assert before == after == [{"part": "a", "seed": 7}, {"part": "b", "seed": 7}]
