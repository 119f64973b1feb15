"""Every use of MiniStack's private names, in one place: a module for each service.

MiniStack is pinned (:data:`MINISTACK_VERSION`). Each patch is a small function that says why it is needed;
``tests/unit/patches`` shows the gap that each closes, and fails when MiniStack closes or moves it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sm_local.patches import (
    api_gateway,
    cloudformation,
    cloudwatch,
    core,
    eventbridge,
    iam,
    lambda_functions,
    rds,
    sagemaker,
    sqs,
    step_functions,
)

__all__ = [
    "MINISTACK_VERSION",
    "api_gateway",
    "apply",
    "cloudformation",
    "cloudwatch",
    "core",
    "eventbridge",
    "iam",
    "lambda_functions",
    "rds",
    "sagemaker",
    "sqs",
    "step_functions",
]

MINISTACK_VERSION = "1.5.33"


def apply(
    sagemaker_handler: core.ServiceHandler,
    resource_types: cloudformation.ResourceHandlers,
    check_alarm: Callable[[Mapping[str, Any]], object],
    databases: rds.Databases,
) -> None:
    """Apply all patches to the MiniStack in this process.

    Raises:
        RuntimeError: Another version of MiniStack is installed.
    """
    from importlib.metadata import version

    from sm_local.message_moves import MessageMoves
    from sm_local.workflows import permissions, result_writer, sagemaker_tasks

    if (found := version("ministack")) != MINISTACK_VERSION:
        raise RuntimeError(f"sm_local patches ministack {MINISTACK_VERSION}, found {found}: run `make setup`")
    sagemaker.add_sagemaker(sagemaker_handler)
    cloudformation.add_resource_types(resource_types)
    api_gateway.map_execute_api_host()
    api_gateway.keep_request_validators()
    api_gateway.check_requests_as_api_gateway_does()
    api_gateway.say_what_is_wrong_with_a_body()
    lambda_functions.answer_without_waiting_for_logs()
    cloudwatch.let_us_evaluate_alarms()
    cloudwatch.keep_alarms_whole(check_alarm)
    cloudwatch.refuse_suppressed_composite_alarms()
    cloudwatch.add_composite_alarms()
    cloudwatch.tell_eventbridge_of_alarms()
    cloudwatch.keep_datapoints_of_other_threads()
    rds.let_rds_manage_passwords()
    rds.answer_sql_by_postgresql(databases.address, databases.remove)
    rds.run_sql_on_threads()
    rds.check_who_may_read_the_secret()
    rds.type_texts_as_the_data_api_does()
    rds.fail_sql_as_the_data_api_does()
    eventbridge.call_functions_until_they_succeed()
    iam.authorize_batches_as_their_single_calls()
    sqs.send_no_message_into_a_list_about_to_be_replaced()
    sqs.add_message_moves(MessageMoves().handlers)
    step_functions.tell_tasks_their_execution()
    step_functions.authorize_tasks(permissions.check)
    step_functions.stop_tasks_that_time_out()
    step_functions.add_integrations(sagemaker_tasks.handlers())
    step_functions.give_branches_variables_of_their_own()
    step_functions.run_parallel_states_in_jsonata()
    step_functions.complete_distributed_maps(permissions.check_map, result_writer.write_results)
    lambda_functions.name_exceptions_of_functions()
