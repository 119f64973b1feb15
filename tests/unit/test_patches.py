"""Each patch: the gap that MiniStack has without it, and that it is closed with it.

When one of the first assertions fails, MiniStack has mended or moved what we patch: remove or adapt the patch.
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any
from unittest import mock

import pytest
from ministack import app
from ministack.core import iam_actions, lambda_runtime, responses, router
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

from sm_local import patches
from sm_local.message_moves import MessageMoves

_ROLE = "arn:aws:iam::000000000000:role/model"


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
        (stepfunctions, "_fail_execution"),
        (stepfunctions, "_invoke_resource"),
        (stepfunctions, "_invoke_resource_with_timeout"),
        (stepfunctions, "_invoke_with_callback"),
        (stepfunctions, "_run_distributed_map"),
        (stepfunctions, "_run_execution"),
        (stepfunctions, "_run_parallel_branches"),
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


def test_the_patched_version_is_the_installed_one() -> None:
    assert version("ministack") == patches.MINISTACK_VERSION


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "MINISTACK_VERSION", "0.0.1")
    with pytest.raises(RuntimeError, match=r"patches ministack 0\.0\.1, found 1\."):
        patches.apply(mock.Mock(), {}, mock.Mock(), mock.Mock())


def test_sagemaker_is_routed_and_authorized() -> None:
    runtime = {"authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/sagemaker/aws4_request"}
    path = "/endpoints/Reviews/invocations"
    assert router.detect_service("POST", path, runtime, {}) == "sagemaker"
    assert "sagemaker" not in app.SERVICE_HANDLERS
    assert iam_actions.extract_iam_action("sagemaker", "POST", path, {}, b"", {}) is None

    patches.add_sagemaker(mock.Mock())

    assert "sagemaker" in app.SERVICE_HANDLERS
    assert iam_actions.extract_iam_action("sagemaker", "POST", path, {}, b"", {}) == "sagemaker:InvokeEndpoint"
    arguments: tuple[Any, ...] = ("sagemaker", "POST", path, {}, b"", {}, "eu-west-1", "111111111111")
    assert iam_actions.extract_resource_arn(*arguments) == "arn:aws:sagemaker:eu-west-1:111111111111:endpoint/reviews"


@pytest.mark.parametrize(
    ("body", "resource"),
    [
        (b'{"ModelName": "A"}', "model/a"),
        (b'{"EndpointConfigName": "B"}', "endpoint-config/b"),
        (b'{"EndpointName": "C", "EndpointConfigName": "B"}', "endpoint/c"),
    ],
)
def test_a_control_plane_call_is_authorized_on_what_it_names(body: bytes, resource: str) -> None:
    assert patches.sagemaker_resource_arn("/", body, "us-east-1", "1").endswith(f":{resource}")


@pytest.mark.parametrize(
    ("body", "resource"),
    [
        (b'{"TransformJobName": "T", "ModelName": "M"}', ":transform-job/t"),
        (b'{"ModelPackageName": "arn:aws:sagemaker:us-east-1:1:model-package/g/1"}', ":model-package/g/1"),
        (b'{"ResourceArn": "arn:aws:sagemaker:us-east-1:1:model/m", "Tags": []}', ":model/m"),
    ],
)
def test_jobs_and_what_is_named_by_arn_are_authorized_on_it(body: bytes, resource: str) -> None:
    found = patches.sagemaker_resource_arn("/", body, "us-east-1", "1")
    assert found == f"arn:aws:sagemaker:us-east-1:1{resource}"


@pytest.mark.parametrize("body", [b"{}", b"{", b""])
def test_a_control_plane_call_that_names_nothing_is_authorized_on_everything(body: bytes) -> None:
    assert patches.sagemaker_resource_arn("/", body, "us-east-1", "1") == "*"


def test_resource_types_are_added_and_may_wait() -> None:
    assert "AWS::SageMaker::Endpoint" not in provisioners._RESOURCE_HANDLERS
    assert not stacks._runs_on_worker_thread("AWS::SageMaker::Endpoint")

    patches.add_resource_types({"AWS::SageMaker::Endpoint": {"create": mock.Mock()}})

    assert "AWS::SageMaker::Endpoint" in provisioners._RESOURCE_HANDLERS
    assert stacks._runs_on_worker_thread("AWS::SageMaker::Endpoint")
    assert stacks._runs_on_worker_thread("Custom::Something")
    assert not stacks._runs_on_worker_thread("AWS::S3::Bucket")


def test_the_host_that_cloudformation_prints_is_answered() -> None:
    host = "a1b2c3d4.execute-api.us-east-1.amazonaws.com"
    assert app._parse_execute_api_url(host, "/dev/v1/classifications") is None

    patches.map_execute_api_host()

    expected = ("a1b2c3d4", "dev", "/v1/classifications")
    assert app._parse_execute_api_url(host, "/dev/v1/classifications") == expected
    assert app._parse_execute_api_url("a1b2c3d4.execute-api.localhost", "/dev/v1/classifications") == expected
    assert app._parse_execute_api_url("127.0.0.1:4566", "/v1/classifications") is None


def _method_with_validator() -> dict[str, Any]:
    """Create an API, a validator and a method as CloudFormation does; return the method."""
    handlers = provisioners._RESOURCE_HANDLERS
    api, _ = handlers["AWS::ApiGateway::RestApi"]["create"]("Api", {"Name": "api"}, "stack")
    validator, _ = handlers["AWS::ApiGateway::RequestValidator"]["create"](
        "Validator", {"RestApiId": api, "ValidateRequestBody": True}, "stack"
    )
    (root,) = apigateway_v1._resources[api]
    properties = {"RestApiId": api, "ResourceId": root, "HttpMethod": "POST", "RequestValidatorId": validator}
    handlers["AWS::ApiGateway::Method"]["create"]("Method", properties, "stack")
    method: dict[str, Any] = apigateway_v1._resources[api][root]["resourceMethods"]["POST"]
    return method | {"api": api}


def test_a_method_keeps_its_request_validator() -> None:
    assert _method_with_validator()["requestValidatorId"] is None

    patches.keep_request_validators()

    method = _method_with_validator()
    assert apigateway_v1._request_validators[method["api"]][method["requestValidatorId"]]["validateRequestBody"]


def _check(content_type: str, body: bytes, request: dict[str, Any] | None = None) -> Any:
    """Let MiniStack check a request against a model that wants an object with `texts`."""
    method = {"requestValidatorId": "v", "requestModels": {"application/json": "M"}}
    schema = {"type": "object", "required": ["texts"]}
    with (
        mock.patch.object(apigateway_v1, "_request_validators", {"api": {"v": {"validateRequestBody": True}}}),
        mock.patch.object(apigateway_v1, "_model_schema", return_value=schema),
    ):
        return apigateway_v1._check_request_validation(
            method, "api", request or {}, {"content-type": content_type}, body, {}
        )


def test_a_body_over_ten_megabytes_is_refused() -> None:
    body = json.dumps({"texts": ["x" * patches.API_GATEWAY_PAYLOAD_BYTES]}).encode()
    assert _check("application/json", body) is None

    patches.check_requests_as_api_gateway_does()

    assert _check("application/json", body).response_type == "REQUEST_TOO_LARGE"
    assert _check("application/json", b'{"texts": []}') is None


def test_only_the_model_of_the_content_type_is_applied() -> None:
    assert _check("text/plain", b"{}") is not None

    patches.check_requests_as_api_gateway_does()

    assert _check("text/plain", b"{}") is None
    assert _check("application/json; charset=utf-8", b"{}").response_type == "BAD_REQUEST_BODY"


def test_a_refused_body_is_told_what_is_wrong_with_it() -> None:
    request: dict[str, Any] = {
        "api_id": "api",
        "stage": {"deploymentId": "d"},
        "stage_name": "dev",
        "resource_path": "/",
        "request_id": "r",
        "headers": {},
    }
    template = '{"detail": "$context.error.validationErrorString"}'
    custom = {"api": {"d": {"BAD_REQUEST_BODY": {"responseTemplates": {"application/json": template}}}}}

    def answer() -> Any:
        with mock.patch.object(apigateway_v1, "_deployed_gateway_responses", custom):
            refusal = _check("application/json", b"[1]", request)
            return json.loads(apigateway_v1._gateway_error_response(refusal, request)[2])["detail"]

    assert answer() == "$context.error.validationErrorString"

    patches.check_requests_as_api_gateway_does()
    patches.say_what_is_wrong_with_a_body()

    assert answer() == "[[1] is not of type 'object']"


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"{", "[not a JSON document]"), (b"{}", "['texts' is a required property]"), (b"", "[not a JSON document]")],
)
def test_what_is_wrong_with_a_body_is_said_in_brackets(body: bytes, words: str) -> None:
    assert patches.validation_errors({"type": "object", "required": ["texts"]}, body) == words


def test_a_silent_function_is_not_waited_for() -> None:
    drain = lambda_runtime.Worker._drain_stderr_bounded
    assert drain.__defaults__[0] == 0.05

    patches.answer_without_waiting_for_logs()

    assert drain.__defaults__[0] == 0.002


def _create_role(service: str) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}]}
    reading = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}]}
    iam._roles["model"] = {
        "AssumeRolePolicyDocument": json.dumps(trust),
        "InlinePolicies": {"p": json.dumps(reading)},
    }


def test_a_service_assumes_only_roles_that_trust_it() -> None:
    _create_role("sagemaker.amazonaws.com")
    credentials = patches.service_session(_ROLE, "sagemaker.amazonaws.com", "SageMaker")

    assert sts._sessions[credentials["aws_access_key_id"]]["Arn"].endswith(":assumed-role/model/SageMaker")
    assert credentials == patches.service_session(_ROLE, "sagemaker.amazonaws.com", "SageMaker")
    with pytest.raises(PermissionError, match=r"allows principal 'lambda\.amazonaws\.com' to assume"):
        patches.service_session(_ROLE, "lambda.amazonaws.com", "SageMaker")
    with pytest.raises(PermissionError, match="Could not assume role"):
        patches.service_session("arn:aws:iam::000000000000:role/none", "sagemaker.amazonaws.com", "SageMaker")


def test_what_a_role_allows_is_read_from_its_policies() -> None:
    _create_role("sagemaker.amazonaws.com")
    assert patches.role_allows(_ROLE, "s3:GetObject", "arn:aws:s3:::b/key", "us-east-1")
    assert not patches.role_allows(_ROLE, "s3:PutObject", "arn:aws:s3:::b/key", "us-east-1")
    assert not patches.role_allows(_ROLE, "s3:GetObject", "arn:aws:s3:::other/key", "us-east-1")


_ALARM_ARN = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:"
_ALARM = {
    "AlarmName": "errors",
    "Namespace": "N",
    "MetricName": "M",
    "Dimensions": [{"Name": "EndpointName", "Value": "mine"}],
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 2,
    "Threshold": 1,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
}
_MATH = {
    "AlarmName": "rate",
    "EvaluationPeriods": 1,
    "Threshold": 1,
    "ComparisonOperator": "GreaterThanThreshold",
    "EvaluateLowSampleCountPercentile": "ignore",
    "Metrics": [
        {
            "Id": "m1",
            "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Sum"},
            "ReturnData": False,
        },
        {"Id": "e1", "Expression": "m1 * 2", "ReturnData": True},
    ],
}


def _cloudwatch(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Call MiniStack's CloudWatch over its JSON protocol; return the answer, or the error with its status."""
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": f"GraniteServiceVersion20100801.{operation}",
    }
    status, _headers, body = asyncio.run(
        cloudwatch.handle_request("POST", "/", headers, json.dumps(request).encode(), {})
    )
    answer: dict[str, Any] = json.loads(body)
    return answer if status == 200 else {**answer, "status": status}


def _state(name: str) -> str:
    state: str = patches.alarm_state(name)
    return state


def test_an_alarm_is_not_fired_by_the_data_of_another_dimension() -> None:
    def state_after_data_of_another() -> str:
        _cloudwatch("PutMetricAlarm", _ALARM)
        datum = {"MetricName": "M", "Value": 5, "Dimensions": [{"Name": "EndpointName", "Value": "other"}]}
        _cloudwatch("PutMetricData", {"Namespace": "N", "MetricData": [datum]})
        state = _state("errors")
        cloudwatch.reset()
        return state

    assert state_after_data_of_another() == "ALARM"

    patches.let_us_evaluate_alarms()

    assert state_after_data_of_another() == "INSUFFICIENT_DATA"


def test_an_alarm_keeps_its_metric_math() -> None:
    _cloudwatch("PutMetricAlarm", _MATH)
    (alarm,) = _cloudwatch("DescribeAlarms", {})["MetricAlarms"]
    assert "Metrics" not in alarm
    assert "EvaluateLowSampleCountPercentile" not in alarm

    patches.keep_alarms_whole(mock.Mock())

    _cloudwatch("PutMetricAlarm", _MATH)
    (alarm,) = _cloudwatch("DescribeAlarms", {})["MetricAlarms"]
    assert alarm["Metrics"] == _MATH["Metrics"]
    assert alarm["EvaluateLowSampleCountPercentile"] == "ignore"
    assert "MetricName" not in alarm
    assert "Period" not in alarm


def test_an_alarm_keeps_its_metric_math_over_the_query_protocol() -> None:
    patches.keep_alarms_whole(mock.Mock())
    query = {
        "Action": ["PutMetricAlarm"],
        "AlarmName": ["rate"],
        "Metrics.member.1.Id": ["m1"],
        "Metrics.member.1.ReturnData": ["true"],
    }
    status, _headers, _body = asyncio.run(cloudwatch.handle_request("POST", "/", {}, b"", query))
    assert status == 200
    assert cloudwatch._alarms["rate"]["Metrics"] == [{"Id": "m1", "ReturnData": "true"}]


def test_a_template_may_have_metric_math() -> None:
    create = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]["create"]
    with pytest.raises(ValueError, match="metric math"):
        create("Rate", _MATH, "stack")

    patches.keep_alarms_whole(mock.Mock())

    assert create("Rate", _MATH, "stack") == ("rate", {"Arn": f"{_ALARM_ARN}rate"})
    assert cloudwatch._alarms["rate"]["Metrics"] == _MATH["Metrics"]
    assert "MetricName" not in cloudwatch._alarms["rate"]


def test_an_alarm_that_cannot_be_evaluated_is_refused() -> None:
    create = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]["create"]
    assert "status" not in _cloudwatch("PutMetricAlarm", {**_ALARM, "DatapointsToAlarm": 3})

    patches.keep_alarms_whole(mock.Mock(side_effect=ValueError("the reason")))
    cloudwatch.reset()

    refusal = _cloudwatch("PutMetricAlarm", {**_ALARM, "DatapointsToAlarm": 3})
    assert refusal == {"__type": "ValidationError", "message": "the reason", "status": 400}
    with pytest.raises(ValueError, match="the reason"):
        create("Errors", _ALARM, "stack")
    assert not cloudwatch._alarms


def test_suppression_is_refused() -> None:
    composite = {
        "AlarmName": "both",
        "AlarmRule": "TRUE",
        "ActionsSuppressor": "other",
        "ActionsSuppressorWaitPeriod": 60,
        "ActionsSuppressorExtensionPeriod": 60,
    }
    assert "status" not in _cloudwatch("PutCompositeAlarm", composite)

    patches.refuse_suppressed_composite_alarms()

    refusal = _cloudwatch("PutCompositeAlarm", composite)
    assert refusal["message"] == "ActionsSuppressor is not supported by the local AWS"
    assert "status" not in _cloudwatch("PutCompositeAlarm", {"AlarmName": "both", "AlarmRule": "FALSE"})


def test_a_stack_may_have_a_composite_alarm() -> None:
    assert "AWS::CloudWatch::CompositeAlarm" not in provisioners._RESOURCE_HANDLERS

    patches.add_composite_alarms()

    handlers = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::CompositeAlarm"]
    _cloudwatch("PutMetricAlarm", _ALARM)
    tags = [{"Key": "team", "Value": "nlp"}]
    properties = {"AlarmRule": f'ALARM("{_ALARM_ARN}errors")', "ActionsEnabled": "false", "Tags": tags}
    name, attributes = handlers["create"]("Both", properties, "stack")
    assert name.startswith("stack-Both-")
    assert attributes == {"Arn": _ALARM_ARN + name}
    assert _state(name) == "OK"
    assert cloudwatch._composite_alarms[name]["ActionsEnabled"] is False
    assert _cloudwatch("ListTagsForResource", {"ResourceARN": attributes["Arn"]})["Tags"] == tags

    assert handlers["update"](name, properties, {"AlarmRule": "TRUE"}, "stack", "Both") == (name, attributes)
    assert _state(name) == "ALARM"
    assert _cloudwatch("ListTagsForResource", {"ResourceARN": attributes["Arn"]})["Tags"] == []
    renamed, _ = handlers["update"](name, {}, {"AlarmRule": "TRUE", "AlarmName": "other"}, "stack", "Both")
    assert renamed == "other"

    handlers["delete"](name, {})
    assert name not in cloudwatch._composite_alarms


def test_a_composite_alarm_of_alarms_that_do_not_exist_fails_the_stack() -> None:
    patches.add_composite_alarms()
    create = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::CompositeAlarm"]["create"]
    with pytest.raises(ValueError, match=r"alarms \[.*:alarm:none\] in the alarm rule do not exist"):
        create("Both", {"AlarmRule": "ALARM(none)"}, "stack")


def test_eventbridge_is_told_of_a_new_state() -> None:
    def events() -> list[dict[str, Any]]:
        _cloudwatch("PutMetricAlarm", _ALARM)
        with mock.patch.object(eventbridge, "_dispatch_event") as dispatch:
            _cloudwatch("SetAlarmState", {"AlarmName": "errors", "StateValue": "ALARM", "StateReason": "tried"})
        cloudwatch.reset()
        return [call.args[0] for call in dispatch.call_args_list]

    assert events() == []

    patches.tell_eventbridge_of_alarms()

    (event,) = events()
    assert (event["Source"], event["DetailType"]) == ("aws.cloudwatch", "CloudWatch Alarm State Change")
    assert event["Resources"] == [f"{_ALARM_ARN}errors"]
    detail = json.loads(event["Detail"])
    assert detail["alarmName"] == "errors"
    assert detail["state"]["value"] == "ALARM"
    assert detail["state"]["reason"] == "tried"
    assert detail["previousState"]["value"] == "INSUFFICIENT_DATA"


def _put(value: float, timestamp: float) -> None:
    patches.put_datapoint("N", "M", {"D": "v"}, value, "Count", timestamp, lambda one, other: one == other)


def test_datapoints_are_not_copied_at_every_request() -> None:
    def is_kept_in_place() -> bool:
        _put(1, time.time())
        (points,) = cloudwatch._metrics.values()
        _cloudwatch("ListMetrics", {})
        (points_later,) = cloudwatch._metrics.values()
        return points is points_later

    assert not is_kept_in_place()

    patches.keep_datapoints_of_other_threads()

    assert is_kept_in_place()


def test_datapoints_of_more_than_two_weeks_ago_are_dropped() -> None:
    patches.keep_datapoints_of_other_threads()
    now, weeks = time.time(), 7 * 24 * 3600
    for value, age in ((1, 3 * weeks), (2, 2.1 * weeks), (3, 1.9 * weeks)):
        _put(value, now - age)
    _cloudwatch("ListMetrics", {})
    assert [point["Value"] for (points) in cloudwatch._metrics.values() for point in points] == [3]
    cloudwatch._metrics.clear()
    _put(1, now - 3 * weeks)
    assert _cloudwatch("ListMetrics", {})["Metrics"] == []


def test_equal_values_of_the_same_time_are_stored_once_and_counted() -> None:
    for value, timestamp in ((1, 0), (1, 0), (2, 0), (1, 0), (1, 5)):
        _put(value, timestamp)
    (points,) = cloudwatch._metrics.values()
    assert [(point["Value"], point.get("Count", 1)) for point in points] == [(1, 2), (2, 1), (1, 1), (1, 1)]
    key = patches.AlarmKey("000000000000", "us-east-1", "any")
    stored = list(patches.datapoints(key, "N", "M", {"D": "v"}, since=0))
    assert stored[0] == patches.StoredDatapoint(0, "Count", (2, 2, 1, 1))
    assert [point.timestamp for point in patches.datapoints(key, "N", "M", {"D": "v"}, since=1)] == [5]
    assert list(patches.datapoints(key, "N", "M", {}, since=0)) == []
    assert list(patches.datapoints(key._replace(region="eu-west-1"), "N", "M", {"D": "v"}, since=0)) == []


def test_a_value_after_an_equal_statistic_set_is_stored_by_itself() -> None:
    datum = {"MetricName": "M", "Timestamp": 7, "Unit": "Count", "Dimensions": [{"Name": "D", "Value": "v"}]}
    values = {"SampleCount": 2, "Sum": 2, "Minimum": 0, "Maximum": 2}
    _cloudwatch("PutMetricData", {"Namespace": "N", "MetricData": [{**datum, "StatisticValues": values}]})
    _put(1, 7)
    (points,) = cloudwatch._metrics.values()
    assert len(points) == 2


def test_only_alarms_that_exist_have_a_state() -> None:
    with pytest.raises(KeyError):
        patches.alarm_state("none")


_CLUSTER = {
    "Engine": "aurora-postgresql",
    "DatabaseName": "results",
    "MasterUsername": "owner",
    "ManageMasterUserPassword": "true",
    "EnableHttpEndpoint": True,
    "AssociatedRoles": [{"RoleArn": _ROLE, "FeatureName": "SageMaker"}],
}


def _cluster_handlers() -> Any:
    return provisioners._RESOURCE_HANDLERS["AWS::RDS::DBCluster"]


def test_a_stacks_cluster_has_its_password_in_a_secret_of_rds() -> None:
    identifier, attributes = _cluster_handlers()["create"]("Cluster", _CLUSTER, "stack")
    assert "MasterUserSecret.SecretArn" not in attributes
    assert rds._clusters[identifier]["_MasterUserPassword"] == "password"
    assert "AssociatedRoles" not in rds._clusters[identifier]

    patches.let_rds_manage_passwords()

    identifier, attributes = _cluster_handlers()["create"]("Cluster", _CLUSTER, "stack")
    secret = attributes["MasterUserSecret.SecretArn"]
    username, password = rds_data._get_secret_credentials(secret)
    assert ":secret:rds!cluster-" in secret
    assert (username, password) == ("owner", rds._clusters[identifier]["_MasterUserPassword"])
    assert len(password) > 20
    assert rds._clusters[identifier]["AssociatedRoles"] == _CLUSTER["AssociatedRoles"]

    changed = {**_CLUSTER, "AssociatedRoles": [], "BackupRetentionPeriod": 9}
    same, attributes = _cluster_handlers()["update"](identifier, _CLUSTER, changed, "stack", "Cluster")
    assert (same, attributes["MasterUserSecret.SecretArn"]) == (identifier, secret)
    assert rds._clusters[identifier]["AssociatedRoles"] == []
    assert rds._clusters[identifier]["_MasterUserPassword"] == password

    _cluster_handlers()["delete"](identifier, changed)
    assert rds_data._get_secret_credentials(secret) == (None, None)


def test_a_cluster_that_is_replaced_has_another_secret() -> None:
    patches.let_rds_manage_passwords()
    identifier, attributes = _cluster_handlers()["create"]("Cluster", _CLUSTER, "stack")

    replaced = {**_CLUSTER, "DatabaseName": "others"}
    another, later = _cluster_handlers()["update"](identifier, _CLUSTER, replaced, "stack", "Cluster")

    assert another != identifier
    assert later["MasterUserSecret.SecretArn"] != attributes["MasterUserSecret.SecretArn"]


def _cluster_with_instance(properties: dict[str, Any] | None = None) -> tuple[str, str]:
    """Create a cluster as CloudFormation does, with an instance; return its identifier and its ARN."""
    identifier, attributes = _cluster_handlers()["create"]("Cluster", properties or _CLUSTER, "stack")
    instance = {"DBClusterIdentifier": identifier, "Engine": "aurora-postgresql"}
    provisioners._RESOURCE_HANDLERS["AWS::RDS::DBInstance"]["create"]("Writer", instance, "stack")
    return identifier, attributes["DBClusterArn"]


def test_sql_is_sent_to_the_server_of_its_cluster() -> None:
    identifier, arn = _cluster_with_instance()
    assert not rds_data._has_real_endpoint(rds_data._resolve_target(arn)[0])

    address, remove = mock.Mock(return_value=("127.0.0.1", 4711)), mock.Mock()
    patches.answer_sql_by_postgresql(address, remove)

    instance, engine, cluster = rds_data._resolve_target(arn)
    assert rds_data._has_real_endpoint(instance)
    assert (instance["_internal_address"], instance["_internal_port"]) == ("127.0.0.1", 4711)
    assert (engine, cluster["DBClusterArn"]) == ("aurora-postgresql", arn)
    address.assert_called_once_with(cluster)

    _cluster_handlers()["delete"](identifier, {})
    remove.assert_called_once_with(arn)


def test_a_cluster_of_another_engine_or_without_an_instance_has_no_server() -> None:
    _, mysql = _cluster_with_instance({**_CLUSTER, "Engine": "aurora-mysql"})
    _, attributes = _cluster_handlers()["create"]("Empty", _CLUSTER, "stack")
    address = mock.Mock()
    patches.answer_sql_by_postgresql(address, mock.Mock())

    assert not rds_data._has_real_endpoint(rds_data._resolve_target(mysql)[0])
    assert rds_data._resolve_target(attributes["DBClusterArn"])[0] is None
    address.assert_not_called()


def _statement(work: Any) -> bool:
    """Return whether the event loop goes on while a statement is at work."""

    async def both() -> bool:
        goes_on = threading.Event()
        with mock.patch.object(rds_data, "_execute_statement", side_effect=lambda _: work(goes_on)):
            answer = asyncio.create_task(rds_data.handle_request("POST", "/Execute", {}, b"{}", {}))
            await asyncio.sleep(0)
            goes_on.set()
            return bool(await answer)

    return asyncio.run(both())


def test_a_statement_that_waits_does_not_stop_the_others() -> None:
    assert not _statement(lambda goes_on: goes_on.wait(0.1))

    patches.run_sql_on_threads()

    assert _statement(lambda goes_on: goes_on.wait(20))


def test_a_statement_on_a_thread_knows_whose_it_is() -> None:
    patches.run_sql_on_threads()

    with responses.request_scope("222222222222", "eu-west-1"):
        assert _statement(lambda _: patches.scope() == ("222222222222", "eu-west-1"))


def _asked_of_iam(body: bytes, *, allowed: bool = True) -> list[tuple[str, str]]:
    """Return which actions on which resources a call of the Data API asks IAM for."""
    asked = []

    def enforce(_service: str, action: str, *_request: Any, resource_arn: str, **_rest: Any) -> Any:
        asked.append((action, resource_arn))
        return None if allowed else (403, {}, b"")

    with mock.patch.object(app, "_enforce_data_plane", enforce):
        denied = app._enforce_rds_data("POST", "/Execute", {}, body, {}, "request")
    assert (denied is None) is allowed
    return asked


def test_a_statement_needs_the_permission_to_read_the_secret() -> None:
    body = json.dumps({"resourceArn": "the-cluster", "secretArn": "the-secret"}).encode()
    call, reading = ("rds-data:ExecuteStatement", "the-cluster"), ("secretsmanager:GetSecretValue", "the-secret")
    assert _asked_of_iam(body) == [call]

    patches.check_who_may_read_the_secret()

    assert _asked_of_iam(body) == [call, reading]
    assert _asked_of_iam(body, allowed=False) == [call]
    assert _asked_of_iam(b'{"resourceArn": "the-cluster"}') == [call]


def test_a_text_is_no_literal_that_turns_into_any_type() -> None:
    sql, parameters = "SELECT :a, :ab, :a::json", {"a": "text", "ab": 1}
    assert rds_data._substitute_named_params(sql, parameters) == "SELECT %(a)s, %(ab)s, %(a)s::json"

    patches.type_texts_as_the_data_api_does()

    assert rds_data._substitute_named_params(sql, parameters) == (
        "SELECT CAST(%(a)s AS varchar), %(ab)s, CAST(%(a)s AS varchar)::json"
    )


class _SqlError(Exception):
    def __init__(self, message: str, pgcode: str | None) -> None:
        super().__init__(message)
        self.pgcode = pgcode


def _failure(error: _SqlError) -> tuple[str, str]:
    _status, _headers, body = rds_data._sql_execution_error(error)
    answer = json.loads(body)
    return answer["__type"], answer["message"]


def test_an_error_of_the_database_is_named_and_numbered() -> None:
    missing = _SqlError('relation "t" does not exist\n', "42P01")
    assert _failure(missing)[0] == "BadRequestException"

    patches.fail_sql_as_the_data_api_does()

    assert _failure(missing) == (
        "DatabaseErrorException",
        'ERROR: relation "t" does not exist; SQLState: 42P01',
    )
    late = _SqlError("canceling statement due to statement timeout", "57014")
    assert _failure(late)[0] == "StatementTimeoutException"
    assert _failure(_SqlError("password authentication failed", None))[0] == "BadRequestException"


@pytest.mark.parametrize(
    ("service", "batch", "single"),
    [
        ("sqs", "AmazonSQS.SendMessageBatch", "sqs:SendMessage"),
        ("sqs", "AmazonSQS.DeleteMessageBatch", "sqs:DeleteMessage"),
        ("sqs", "AmazonSQS.ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility"),
        ("sns", "AmazonSNS.PublishBatch", "sns:Publish"),
        ("sqs", "AmazonSQS.ReceiveMessage", "sqs:ReceiveMessage"),
    ],
)
def test_a_batch_needs_the_permission_of_its_single_call(service: str, batch: str, single: str) -> None:
    call: tuple[Any, ...] = (service, "POST", "/", {"x-amz-target": batch}, b"{}", {})
    named = f"{service}:{batch.partition('.')[2]}"
    assert iam_actions.extract_iam_action(*call) == named

    patches.authorize_batches_as_their_single_calls()

    assert iam_actions.extract_iam_action(*call) == single


def _queues() -> tuple[str, str]:
    """Make a queue and one for its dead letters; return their names."""
    sqs._act_create_queue({"QueueName": "dead"}, "")
    policy = json.dumps({"deadLetterTargetArn": _arn("dead"), "maxReceiveCount": 1})
    sqs._act_create_queue({"QueueName": "jobs", "Attributes": {"RedrivePolicy": policy}}, "")
    return "jobs", "dead"


def _arn(name: str) -> str:
    return f"arn:aws:sqs:us-east-1:000000000000:{name}"


def _bodies(name: str) -> list[str]:
    return [message["body"] for message in sqs._queue_by_arn(_arn(name))["messages"]]


def test_a_message_waits_for_the_lock_of_those_who_delete_some() -> None:
    name, _ = _queues()
    send: dict[str, Any] = {"QueueUrl": sqs._queue_url(name), "MessageBody": "a"}
    with sqs._queues_lock:
        sqs._act_send_message(send, "")  # MiniStack's own does not wait

    patches.send_no_message_into_a_list_about_to_be_replaced()

    sender = threading.Thread(target=sqs._HANDLERS["SendMessage"], args=[send, ""])
    with sqs._queues_lock:
        sender.start()
        sender.join(0.2)
        assert sender.is_alive()
        assert _bodies(name) == ["a"]
    sender.join()
    assert _bodies(name) == ["a", "a"]


def _die(name: str, *bodies: str) -> None:
    """Send messages and receive each too often, so that they are dead letters."""
    url = sqs._queue_url(name)
    for body in bodies:
        sqs._act_send_message({"QueueUrl": url, "MessageBody": body}, "")
    queue = sqs._queues[url]
    for message in queue["messages"]:
        message["receive_count"] = 1
    sqs._dlq_sweep(queue)


def test_dead_letters_are_driven_back_where_they_died() -> None:
    name, dead = _queues()
    _die(name, "a", "b")
    assert (_bodies(name), _bodies(dead)) == ([], ["a", "b"])
    assert "StartMessageMoveTask" not in sqs._HANDLERS

    patches.add_message_moves(MessageMoves().handlers)

    sqs._HANDLERS["StartMessageMoveTask"]({"SourceArn": _arn(dead)}, "")
    (task,) = _finished(dead)
    assert (_bodies(name), _bodies(dead)) == (["a", "b"], [])
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 2)
    assert [message["receive_count"] for message in sqs._queue_by_arn(_arn(name))["messages"]] == [0, 0]


def _finished(dead: str) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 10
    while True:
        tasks: list[dict[str, Any]] = sqs._HANDLERS["ListMessageMoveTasks"]({"SourceArn": _arn(dead)}, "")["Results"]
        if all(task["Status"] not in ("RUNNING", "CANCELLING") for task in tasks) or time.monotonic() > deadline:
            return tasks
        time.sleep(0.01)


def test_dead_letters_go_to_another_queue_when_it_is_named_and_as_slowly_as_is_asked_for() -> None:
    name, dead = _queues()
    sqs._act_create_queue({"QueueName": "other"}, "")
    _die(name, "a", "b", "c")
    patches.add_message_moves(MessageMoves().handlers)

    slowly = {"SourceArn": _arn(dead), "DestinationArn": _arn("other"), "MaxNumberOfMessagesPerSecond": 1}
    handle = sqs._HANDLERS["StartMessageMoveTask"](slowly, "")["TaskHandle"]
    with pytest.raises(sqs._Err, match="Only one active task"):
        sqs._HANDLERS["StartMessageMoveTask"]({"SourceArn": _arn(dead)}, "")
    sqs._HANDLERS["CancelMessageMoveTask"]({"TaskHandle": handle}, "")

    (task,) = _finished(dead)
    assert task["Status"] == "CANCELLED"
    assert len(_bodies("other")) == task["ApproximateNumberOfMessagesMoved"] < 3
    assert len(_bodies("other")) + len(_bodies(dead)) == 3
    with pytest.raises(sqs._Err, match="not running"):
        sqs._HANDLERS["CancelMessageMoveTask"]({"TaskHandle": handle}, "")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"SourceArn": _arn("jobs")}, "must be configured as a Dead Letter Queue"),
        ({"SourceArn": _arn("missing")}, "does not exist"),
        ({"SourceArn": _arn("dead"), "DestinationArn": _arn("missing")}, "does not exist"),
        ({"SourceArn": _arn("dead"), "MaxNumberOfMessagesPerSecond": 501}, "from 1 to 500"),
    ],
)
def test_a_move_that_sqs_refuses_is_refused(request_: dict[str, Any], words: str) -> None:
    _queues()
    patches.add_message_moves(MessageMoves().handlers)

    with pytest.raises(sqs._Err, match=words):
        sqs._HANDLERS["StartMessageMoveTask"](request_, "")


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("StartMessageMoveTask", {"SourceArn": _arn("dead")}),
        ("CancelMessageMoveTask", {"TaskHandle": f"0c1d/{_arn('dead')}"}),
    ],
)
def test_a_move_is_authorized_on_the_queue_of_the_dead_letters(action: str, body: dict[str, str]) -> None:
    headers = {"x-amz-target": f"AmazonSQS.{action}"}
    call: tuple[Any, ...] = ("sqs", "POST", "/", headers, json.dumps(body).encode(), {}, "us-east-1", "000000000000")
    assert iam_actions.extract_resource_arn(*call) == "*"

    patches.add_message_moves(MessageMoves().handlers)

    assert iam_actions.extract_resource_arn(*call) == _arn("dead")


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
        execution = patches.current_execution()
        handled.append((resource, arguments, execution.role_arn, execution.state_machine_arn))
        return {"done": True}

    states = {"Make": _task(Arguments="{% $states.input.request %}")}
    assert "not yet implemented in MiniStack" in _execution(states, request={"a": 1})["cause"]

    patches.tell_tasks_their_execution()
    patches.add_integrations({"arn:aws:states:::sagemaker:": handle})

    assert _execution(states, request={"a": 1})["output"] == {"done": True}
    assert handled == [("arn:aws:states:::sagemaker:createModel", {"a": 1}, _ROLE, _MACHINE)]


def test_a_stopped_execution_stays_stopped_and_begins_no_further_task() -> None:
    begun: list[str] = []

    def handle(resource: str, _arguments: Any) -> Any:
        begun.append(resource)
        (arn,) = stepfunctions._executions
        stepfunctions._stop_execution({"executionArn": arn, "cause": "enough"})
        raise patches.task_error("States.TaskFailed", "stopped")

    caught = {"ErrorEquals": ["States.ALL"], "Next": "CleanUp"}
    branch = {"StartAt": "Make", "States": {"Make": _task(Catch=[caught]), "CleanUp": _task()}}
    states = {"Both": {"Type": "Parallel", "Branches": [branch], "End": True}}
    patches.add_integrations({"arn:aws:states:::sagemaker:": handle})
    assert _execution(states, "JSONPath")["status"] == "FAILED"
    assert len(begun) == 2
    stepfunctions.reset()
    begun.clear()

    patches.tell_tasks_their_execution()
    patches.authorize_tasks(lambda *_: None)

    assert _execution(states, "JSONPath")["status"] == "ABORTED"
    assert len(begun) == 1


@pytest.mark.parametrize("pattern", ["", ".waitForTaskToken"])
def test_a_task_may_do_only_what_the_state_machines_role_may(pattern: str) -> None:
    def check(resource: str, arguments: Any, execution: patches.Execution) -> None:
        raise patches.task_error("Denied", f"{execution.role_arn} may not {resource} {arguments}")

    patches.tell_tasks_their_execution()
    patches.authorize_tasks(check)

    failed = _execution({"Make": _task(f"arn:aws:states:::sns:publish{pattern}", Arguments={"a": 1})})
    assert failed["error"] == "Denied"
    assert failed["cause"] == f"{_ROLE} may not arn:aws:states:::sns:publish{pattern} {{'a': 1}}"


def test_a_task_that_has_timed_out_is_told() -> None:
    told = threading.Event()

    def make(_resource: str, _arguments: Any) -> None:
        execution = patches.current_execution()
        while execution.wants_task():
            time.sleep(0.01)
        told.set()

    patches.tell_tasks_their_execution()
    patches.add_integrations(
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

    patches.stop_tasks_that_time_out()

    assert _execution(states)["output"] == {"told": True}


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

    patches.run_parallel_states_in_jsonata()

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
    given = {"parts": ["a", "b"], "seed": 7}
    assert _execution(states, **given)["output"] != ["a-0-7", "b-1-7"]

    patches.complete_distributed_maps(mock.Mock(), mock.Mock())

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
    patches.tell_tasks_their_execution()
    patches.complete_distributed_maps(checked, written)

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

    patches.complete_distributed_maps(mock.Mock(), mock.Mock())

    after = _execution(states, "JSONPath", parts=["a", "b"], seed=7)["output"]
    assert before == after == [{"part": "a", "seed": 7}, {"part": "b", "seed": 7}]


def test_a_functions_exception_has_its_name() -> None:
    log = (
        'row 3\nTraceback (most recent call last):\n  File "a.py", line 1, in f\nlogic.DatasetError: row 3: no label\n'
    )
    failed = {"error": True, "body": {"errorType": "Runtime.HandlerError", "errorMessage": "row 3: no label"}}
    answers = iter(
        [
            {**failed, "log": log},
            {**failed, "log": "killed"},
            {"error": True, "body": {"errorType": "Sandbox.Timedout"}, "log": log},
            {"body": {"errorType": "mine"}, "log": log},
        ]
    )
    lambda_svc._execute_function_with_config_scope = lambda *_: next(answers)

    patches.name_exceptions_of_functions()

    named = [lambda_svc._execute_function_with_config_scope({}, {})["body"]["errorType"] for _ in range(4)]
    assert named == ["DatasetError", "Runtime.HandlerError", "Sandbox.Timedout", "mine"]


def test_a_role_is_passed_only_by_whom_may_pass_it() -> None:
    _create_role("states.amazonaws.com")
    condition = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    allowed = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*", "Condition": condition}
    session = patches.service_session(_ROLE, "states.amazonaws.com", "execution")
    scope = f"{session['aws_access_key_id']}/20260101/us-east-1/sagemaker/aws4_request"
    headers = {
        "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x",
        "x-amz-security-token": session["aws_session_token"],
    }
    with mock.patch.object(app, "AUTH", True):
        refusal = patches.refuse_to_pass("arn:aws:iam::000000000000:role/job", "sagemaker", headers, {})
        assert refusal is not None
        assert (
            b"is not authorized to perform: iam:PassRole on resource: arn:aws:iam::000000000000:role/job" in refusal[2]
        )

        iam._roles["model"]["InlinePolicies"]["pass"] = json.dumps({"Statement": [allowed]})
        assert patches.refuse_to_pass("arn:aws:iam::000000000000:role/job", "sagemaker", headers, {}) is None
        assert patches.refuse_to_pass("arn:aws:iam::000000000000:role/job", "lambda", headers, {}) is not None
