"""Step Functions: whose task it is, permissions, integrations, and distributed maps."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Execution(NamedTuple):
    """An execution of a state machine.

    Args:
        name: Its name.
        role_arn: The state machine's role.
        state_machine_arn: The state machine.
        record: MiniStack's record of it.
        timed_out: Set when the task under way has taken too long.
    """

    name: str
    role_arn: str
    state_machine_arn: str
    record: Mapping[str, Any]
    timed_out: threading.Event

    def wants_task(self) -> bool:
        """Return whether the answer of the task under way still counts."""
        return self.record["status"] == "RUNNING" and not self.timed_out.is_set()


_execution: contextvars.ContextVar[Execution] = contextvars.ContextVar("sm_local_execution")


def current_execution() -> Execution:
    """Return the execution whose task this thread runs."""
    return _execution.get()


def task_error(error: str, cause: str) -> Exception:
    """Return what a task raises to fail."""
    from ministack.services import stepfunctions

    failure: Exception = stepfunctions._ExecutionError(error, cause)
    return failure


def api_members(arguments: dict[str, Any], shape: Any) -> dict[str, Any]:
    """Return a task's arguments with the members' names of a service's API, which differ in capitals."""
    from ministack.services import stepfunctions

    members: dict[str, Any] = stepfunctions._sdk_json_param_value(arguments, shape) if shape else arguments
    return members


def tell_tasks_their_execution() -> None:
    """MiniStack's tasks do not know whose they are: keep it beside their thread.

    Nor does MiniStack leave an execution stopped whose task fails for it.
    """
    from ministack.services import stepfunctions

    run, fail = stepfunctions._run_execution, stepfunctions._fail_execution

    def run_known(arn: str) -> None:
        record = stepfunctions._executions.get(arn)
        machine = stepfunctions._state_machines.get((record or {}).get("stateMachineArn"))
        if record is None or machine is None:
            run(arn)
            return
        token = _execution.set(
            Execution(record["name"], machine["roleArn"], record["stateMachineArn"], record, threading.Event())
        )
        try:
            run(arn)
        finally:
            _execution.reset(token)

    def fail_unless_stopped(record: dict[str, Any], error: str, cause: str) -> None:
        if record["status"] != "ABORTED":
            fail(record, error, cause)

    stepfunctions._run_execution = run_known
    stepfunctions._fail_execution = fail_unless_stopped


def authorize_tasks(check: Callable[[str, Any, Execution], None]) -> None:
    """MiniStack's tasks do what they like: let `check` raise for what the state machine's role may not.

    Nor do they begin any more once the execution is stopped.
    """
    from ministack.services import stepfunctions

    invoke, invoke_with_callback = stepfunctions._invoke_resource, stepfunctions._invoke_with_callback

    def authorize(resource: str, arguments: Any) -> None:
        if (execution := _execution.get(None)) is not None:
            if execution.record["status"] != "RUNNING":
                raise task_error("States.TaskFailed", "The execution was stopped.")
            check(resource, arguments, execution)

    def invoke_authorized(resource: str, arguments: Any) -> Any:
        authorize(resource, arguments)
        return invoke(resource, arguments)

    def invoke_authorized_with_callback(resource: str, arguments: Any, token: str, state: dict[str, Any]) -> Any:
        authorize(resource, arguments)
        return invoke_with_callback(resource, arguments, token, state)

    stepfunctions._invoke_resource = invoke_authorized
    stepfunctions._invoke_with_callback = invoke_authorized_with_callback


def stop_tasks_that_time_out() -> None:
    """MiniStack lets a task that has timed out go on: tell it."""
    from ministack.services import stepfunctions

    invoke = stepfunctions._invoke_resource_with_timeout

    def invoke_with_timeout(resource: str, arguments: Any, seconds: float) -> Any:
        execution = _execution.get(None)
        if execution is None:
            return invoke(resource, arguments, seconds)
        timed_out = threading.Event()
        token = _execution.set(execution._replace(timed_out=timed_out))
        try:
            return invoke(resource, arguments, seconds)
        except stepfunctions._ExecutionError as error:
            if error.error == "States.Timeout":
                timed_out.set()
            raise
        finally:
            _execution.reset(token)

    stepfunctions._invoke_resource_with_timeout = invoke_with_timeout


def add_integrations(handlers: Mapping[str, Callable[[str, Any], Any]]) -> None:
    """MiniStack has no SageMaker integrations, and makes SDK calls with everybody's permissions: add ours.

    It looks for the first key that a task's resource begins with, before it makes an SDK call itself.
    """
    from ministack.services import stepfunctions

    stepfunctions._SERVICE_DISPATCH.update(handlers)


def give_branches_variables_of_their_own() -> None:
    """MiniStack's branches of a parallel state overwrite each other's variables, task tokens and numbers of tries."""
    from ministack.services import stepfunctions

    run = stepfunctions._run_sub_machine

    def run_apart(states: Any, start_at: str, given: Any, execution: Any, ctx: dict[str, Any]) -> Any:
        return run(states, start_at, given, execution, {**ctx, "variables": dict(ctx.get("variables", {}))})

    stepfunctions._run_sub_machine = run_apart


def run_parallel_states_in_jsonata() -> None:
    """MiniStack's parallel states know JSONPath only: evaluate Arguments, Output and Assign."""
    from ministack.services import stepfunctions

    run = stepfunctions._run_parallel_branches

    def run_in_either(state: dict[str, Any], raw_input: Any, execution: Any, ctx: dict[str, Any]) -> Any:
        if stepfunctions._state_query_language(state, ctx) != "JSONata":
            return run(state, raw_input, execution, ctx)
        arguments = stepfunctions._apply_jsonata_arguments(state, raw_input, ctx)
        result, following = run(state, arguments, execution, ctx)
        return _jsonata_output(state, raw_input, ctx, result), following

    stepfunctions._run_parallel_branches = run_in_either


def _jsonata_output(state: dict[str, Any], raw_input: Any, ctx: dict[str, Any], result: Any) -> Any:
    from ministack.services import stepfunctions

    output = stepfunctions._apply_jsonata_output(state, raw_input, ctx, result=result, default=result)
    stepfunctions._apply_state_assign(state, raw_input, ctx, result=result)
    return output


def complete_distributed_maps(
    check: Callable[[Mapping[str, Any], Mapping[str, Any], Execution], None],
    write_results: Callable[[Mapping[str, Any], list[Any], str, Execution], Any],
) -> None:
    """MiniStack's distributed maps know JSONPath only, no batches, and no results in S3; they read what they like.

    Items, the children's inputs, results and output are made here, and MiniStack runs the children.

    Args:
        check: Raises when the state machine's role may not read the items, of an ItemReader and its arguments.
        write_results: Carries out a ResultWriter's arguments.
    """
    from ministack.services import stepfunctions

    run = stepfunctions._run_distributed_map
    numbers = ("MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage")

    def run_complete(
        state: dict[str, Any], raw_input: Any, effective: Any, iterator: Any, execution: Any, ctx: dict[str, Any]
    ) -> Any:
        jsonata = stepfunctions._state_query_language(state, ctx) == "JSONata"

        def evaluated(value: Any, context: dict[str, Any] = ctx) -> Any:
            if jsonata:
                return stepfunctions._apply_jsonata_template(value, raw_input, context)
            return stepfunctions._resolve_params_obj(value, effective, context)

        def arguments_of(field: dict[str, Any]) -> Any:
            return evaluated(field.get("Arguments") or field.get("Parameters") or {})

        known = _execution.get(None)
        reader = state.get("ItemReader") or {}
        arguments = arguments_of(reader)
        if known is not None:
            check(reader, arguments, known)
        if reader:
            config = evaluated(reader.get("ReaderConfig") or {}) if jsonata else reader.get("ReaderConfig")
            whole = {**reader, "Parameters": arguments, "ReaderConfig": config}
            items = stepfunctions._read_map_items(whole, effective, ctx)
        elif jsonata:
            items = evaluated(state["Items"]) if "Items" in state else effective
        else:
            items = stepfunctions._resolve_path_or_ctx(state.get("ItemsPath", "$"), effective, ctx)
        items = items if isinstance(items, list) else [items]
        if selector := state.get("ItemSelector") or state.get("Parameters"):
            items = [
                evaluated(selector, {**ctx, "Map": {"Item": {"Index": index, "Value": item}}})
                for index, item in enumerate(items)
            ]
        if batcher := state.get("ItemBatcher"):
            items = _batches(items, evaluated(batcher))
        children = {name: evaluated(state[name]) for name in numbers if name in state}
        result, _following = run({**children, "End": True}, items, items, iterator, execution, ctx)
        if (writer := arguments_of(state.get("ResultWriter") or {})) and known is not None:
            runs = stepfunctions._map_runs.items()
            map_run = [arn for arn, run in runs if run["executionArn"] == execution["executionArn"]][-1]
            result = write_results(writer, result, map_run, known)
        if jsonata:
            return _jsonata_output(state, raw_input, ctx, result), stepfunctions._next_or_end(state)
        selected = stepfunctions._apply_result_selector(state, result)
        output = stepfunctions._apply_result_path(state, raw_input, selected)
        return stepfunctions._apply_output_path(state, output, ctx), stepfunctions._next_or_end(state)

    stepfunctions._run_distributed_map = run_complete


def _batches(items: list[Any], batcher: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the inputs of children that get several items each.

    >>> _batches([1, 2, 3], {"MaxItemsPerBatch": 2, "BatchInput": {"by": "id"}})
    [{'BatchInput': {'by': 'id'}, 'Items': [1, 2]}, {'BatchInput': {'by': 'id'}, 'Items': [3]}]
    """
    size = int(batcher.get("MaxItemsPerBatch") or len(items) or 1)
    same = {"BatchInput": batcher["BatchInput"]} if "BatchInput" in batcher else {}
    return [{**same, "Items": items[first : first + size]} for first in range(0, len(items), size)]
