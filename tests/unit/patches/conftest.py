"""Each patch: the gap that MiniStack has without it, and that it is closed with it.

When one of the first assertions fails, MiniStack has mended or moved what we patch: remove or adapt the patch.
"""

from collections.abc import Iterator
from unittest import mock

import pytest
from ministack import app
from ministack.core import iam_actions, lambda_runtime
from ministack.services import (
    apigateway_v1,
    cloudwatch,
    eventbridge,
    iam,
    lambda_svc,
    rds,
    rds_data,
    s3,
    secretsmanager,
    sqs,
    stepfunctions,
    sts,
)
from ministack.services.cloudformation import provisioners, stacks


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a patch does to MiniStack's modules."""
    for module, name in (
        (app, "_EXECUTE_API_RE"),
        (iam_actions, "extract_iam_action"),
        (iam_actions, "extract_resource_arn"),
        (sqs, "_act_send_message"),
        (stacks, "_runs_on_worker_thread"),
        (apigateway_v1, "_check_request_validation"),
        (apigateway_v1, "_gateway_error_response"),
        (lambda_runtime.Worker._drain_stderr_bounded, "__defaults__"),
        (cloudwatch, "_evaluate_alarm"),
        (cloudwatch, "_put_metric_alarm"),
        (cloudwatch, "_put_composite_alarm"),
        (cloudwatch, "_dispatch_alarm_actions"),
        (cloudwatch, "_evict_old_metrics"),
        (provisioners, "_cw_metric_alarm_record"),
        (provisioners, "_rds_db_cluster_create"),
        (provisioners, "_rds_db_cluster_delete"),
        (provisioners, "_rds_db_cluster_fields"),
        (provisioners, "_rds_db_cluster_attrs"),
        (rds_data, "_resolve_target"),
        (rds_data, "_substitute_named_params"),
        (rds_data, "_sql_execution_error"),
        (rds_data, "handle_request"),
        (app, "_enforce_rds_data"),
        (lambda_svc, "_execute_function_with_config_scope"),
        (eventbridge, "_dispatch_to_lambda"),
        (stepfunctions, "_fail_execution"),
        (stepfunctions, "_invoke_resource"),
        (stepfunctions, "_invoke_resource_with_timeout"),
        (stepfunctions, "_invoke_with_callback"),
        (stepfunctions, "_run_distributed_map"),
        (stepfunctions, "_run_execution"),
        (stepfunctions, "_run_parallel_branches"),
        (stepfunctions, "_run_sub_machine"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    with (
        mock.patch.dict(app.SERVICE_HANDLERS),
        mock.patch.dict(iam_actions.SERVICE_TO_IAM_NAMESPACE),
        mock.patch.dict(iam_actions._BOTOCORE_SERVICE_MAP),
        mock.patch.dict(provisioners._RESOURCE_HANDLERS),
        mock.patch.dict(sts._sessions),
        mock.patch.dict(sqs._HANDLERS),
        mock.patch.dict(stepfunctions._SERVICE_DISPATCH),
    ):
        yield
    iam._roles.clear()
    cloudwatch.reset()
    rds.reset()
    secretsmanager.reset()
    sqs.reset()
    s3.reset()
    stepfunctions.reset()
