"""Every use of MiniStack's private names, in one place.

MiniStack is pinned (:data:`MINISTACK_VERSION`). Each patch is a small function that says why it is needed;
``tests/unit/test_patches.py`` shows the gap that each closes, and fails when MiniStack closes or moves it.
"""

from __future__ import annotations

import asyncio
import contextvars
import hmac
import json
import re
import secrets
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeAlias
from urllib.parse import unquote

MINISTACK_VERSION = "1.5.33"

Response = tuple[int, dict[str, str], bytes]
ServiceHandler = Callable[[str, str, dict[str, str], bytes, dict[str, list[str]]], Awaitable[Response]]
ResourceHandlers = Mapping[str, Mapping[str, Any]]  # create, update, delete, by CloudFormation type

# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
API_GATEWAY_PAYLOAD_BYTES = 10 * 1024 * 1024

StoredAlarm: TypeAlias = dict[str, Any]  # in the form of PutMetricAlarm, with its state
StoredCluster: TypeAlias = dict[str, Any]  # in the form of DescribeDBClusters, with the master user's password

_OF_ONE_METRIC = ("MetricName", "Namespace", "Dimensions", "Period", "Statistic", "ExtendedStatistic", "Unit")
_SINGLE_CALLS = {
    "sns:PublishBatch": "sns:Publish",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}
_VALIDATION_ERROR = "validation_error"
_MOST_STATEMENTS = 64  # at the same time, of which each may wait for another's lock
_SESSION_KEY = secrets.token_bytes(32)
_INVOCATION_PATH = re.compile(r"^/endpoints/(?P<name>[^/]+)/(?:async-)?invocations(?:-response-stream)?/?$")


def invoked_endpoint(path: str) -> str | None:
    """Return the endpoint that a SageMaker Runtime path names.

    >>> invoked_endpoint("/endpoints/Reviews-4x2/invocations")
    'Reviews-4x2'
    >>> invoked_endpoint("/")
    """
    match = _INVOCATION_PATH.match(path)
    return unquote(match["name"]) if match else None


def add_sagemaker(handler: ServiceHandler) -> None:
    """MiniStack has no SageMaker: route its calls to `handler`, behind MiniStack's own IAM check."""
    from ministack import app
    from ministack.core import iam_actions

    app.SERVICE_HANDLERS["sagemaker"] = handler
    iam_actions.SERVICE_TO_IAM_NAMESPACE["sagemaker"] = "sagemaker"
    iam_actions._BOTOCORE_SERVICE_MAP["sagemaker"] = ["sagemaker-runtime"]
    resource_of_others = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        if service != "sagemaker":
            return str(resource_of_others(service, method, path, headers, body, query, region, account))
        return sagemaker_resource_arn(path, body, region, account)

    iam_actions.extract_resource_arn = extract_resource_arn


def sagemaker_resource_arn(path: str, body: bytes, region: str, account: str) -> str:
    """Return the ARN that IAM checks a SageMaker call against: names in it are lower case.

    >>> sagemaker_resource_arn("/endpoints/Reviews/invocations", b"", "us-east-1", "000000000000")
    'arn:aws:sagemaker:us-east-1:000000000000:endpoint/reviews'
    """
    if (endpoint := invoked_endpoint(path)) is not None:
        named = ("endpoint", endpoint)
    else:
        try:
            parameters = json.loads(body or b"{}")
        except ValueError:
            parameters = {}
        fields = {
            "TrainingJobName": "training-job",
            "ProcessingJobName": "processing-job",
            "TransformJobName": "transform-job",
            "InferenceComponentName": "inference-component",
            "EndpointName": "endpoint",
            "EndpointConfigName": "endpoint-config",
            "ModelName": "model",
            "ModelPackageGroupName": "model-package-group",
            "ModelPackageArn": "model-package",
            "ModelPackageName": "model-package",
            "ResourceArn": "",
        }
        named = next(((kind, parameters[field]) for field, kind in fields.items() if field in parameters), ("", ""))
    kind, name = named
    if str(name).startswith("arn:"):
        return str(name)
    return f"arn:aws:sagemaker:{region}:{account}:{kind}/{str(name).lower()}" if name else "*"


def add_resource_types(handlers: ResourceHandlers) -> None:
    """MiniStack refuses a template with a CloudFormation type that it does not know: add ours.

    Ours may wait for minutes, so they run on a worker thread: a handler on the main one stalls every
    other request.
    """
    from ministack.services.cloudformation import provisioners, stacks

    provisioners._RESOURCE_HANDLERS.update(handlers)
    waits_already = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda kind: kind in handlers or waits_already(kind)


def map_execute_api_host() -> None:
    """MiniStack knows only ``{api}.execute-api.localhost``: answer for the host that CloudFormation prints."""
    from ministack import app

    app._EXECUTE_API_RE = re.compile(r"^([a-z0-9]+)\.execute-api\.(?:[a-z0-9-]+\.amazonaws\.com|localhost)(?::\d+)?$")


def keep_request_validators() -> None:
    """MiniStack's CloudFormation makes no request validator, and drops it from methods: do both.

    Its API Gateway checks bodies against models once it knows which validator a method has.
    """
    from ministack.services import apigateway_v1
    from ministack.services.cloudformation import provisioners

    def create(_logical_id: str, properties: dict[str, Any], _stack: str) -> tuple[str, dict[str, str]]:
        wanted = {
            "name": properties.get("Name", ""),
            "validateRequestBody": properties.get("ValidateRequestBody", False),
            "validateRequestParameters": properties.get("ValidateRequestParameters", False),
        }
        _status, _headers, body = apigateway_v1._create_request_validator(properties["RestApiId"], wanted)
        identifier = json.loads(body)["id"]
        return identifier, {"RequestValidatorId": identifier}

    def update(identifier: str, _old: dict[str, Any], new: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
        return create(identifier, new, stack)

    def delete(identifier: str, properties: dict[str, Any]) -> None:
        apigateway_v1._delete_request_validator(properties["RestApiId"], identifier)

    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::ApiGateway::RequestValidator"] = {"create": create, "update": update, "delete": delete}

    method = handlers["AWS::ApiGateway::Method"]
    create_method, update_method = method["create"], method["update"]

    def attach(properties: dict[str, Any]) -> None:
        resource = apigateway_v1._resources[properties["RestApiId"]][properties["ResourceId"]]
        stored = resource["resourceMethods"][properties["HttpMethod"]]
        stored["requestValidatorId"] = properties.get("RequestValidatorId")

    def create_with_validator(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        created = create_method(logical_id, properties, stack)
        attach(properties)
        return created

    def update_with_validator(identifier: str, old: dict[str, Any], new: dict[str, Any], stack: str) -> Any:
        updated = update_method(identifier, old, new, stack)
        attach(new)
        return updated

    handlers["AWS::ApiGateway::Method"] = {
        **method,
        "create": create_with_validator,
        "update": update_with_validator,
    }


def check_requests_as_api_gateway_does() -> None:
    """MiniStack accepts bodies of any size, and checks one of any content type against the JSON model.

    API Gateway refuses more than 10 MB, and checks a body only against the model of its content type.
    """
    from ministack.services import apigateway_v1

    check = apigateway_v1._check_request_validation

    def check_as_aws_does(
        method: dict[str, Any], api_id: str, request: Any, headers: Any, body: bytes, query: Any
    ) -> Any:
        if len(body or b"") > API_GATEWAY_PAYLOAD_BYTES:
            return apigateway_v1._gw_error("REQUEST_TOO_LARGE", "Request Too Long")
        content_type = (apigateway_v1._header_ci(headers, "content-type") or "application/json").split(";", 1)[0]
        model = (method.get("requestModels") or {}).get(content_type.strip().lower())
        refusal = check(
            {**method, "requestModels": {content_type: model} if model else {}}, api_id, request, headers, body, query
        )
        if refusal is not None and refusal.response_type == "BAD_REQUEST_BODY":
            request[_VALIDATION_ERROR] = validation_errors(apigateway_v1._model_schema(api_id, model), body)
        return refusal

    apigateway_v1._check_request_validation = check_as_aws_does


def say_what_is_wrong_with_a_body() -> None:
    """MiniStack leaves ``$context.error.validationErrorString`` in gateway responses as it stands: fill it in."""
    from ministack.services import apigateway_v1

    respond = apigateway_v1._gateway_error_response

    def respond_with_reason(error: Any, request: dict[str, Any]) -> Response:
        status, headers, body = respond(error, request)
        reason = json.dumps(request.get(_VALIDATION_ERROR, ""), ensure_ascii=False)[1:-1]
        return status, headers, body.replace(b"$context.error.validationErrorString", reason.encode())

    apigateway_v1._gateway_error_response = respond_with_reason


def validation_errors(schema: dict[str, Any], body: bytes) -> str:
    """Return what is wrong with a body, in brackets as API Gateway has it, though in other words.

    >>> validation_errors({"properties": {"language": {"enum": ["en", "zh"]}}}, b'{"language": "fr"}')
    "[language: 'fr' is not one of ['en', 'zh']]"
    """
    from jsonschema import Draft4Validator

    try:
        document = json.loads(body)
    except (ValueError, TypeError):
        return "[not a JSON document]"
    found = []
    for error in sorted(Draft4Validator(schema).iter_errors(document), key=str):
        where = ".".join(str(part) for part in error.absolute_path)
        words = (
            error.message if len(error.message) < 200 else f"is refused by {error.validator}: {error.validator_value}"
        )
        found.append(f"{where}: {words}" if where else words)
    return f"[{', '.join(found)}]"


def answer_without_waiting_for_logs() -> None:
    """MiniStack waits 50 ms a call for a Lambda function that logs nothing: wait 2 ms.

    A line that comes later lands in the log of the next call.
    """
    from ministack.core import lambda_runtime

    lambda_runtime.Worker._drain_stderr_bounded.__defaults__ = (0.002, 0.002, 0.25)


def service_session(role_arn: str, service: str, session_name: str) -> dict[str, str]:
    """Return credentials, as boto3 names them, for a role that an AWS service assumes.

    The same role and session name give the same credentials as long as this process lives.

    Raises:
        PermissionError: The role does not exist, or its trust policy does not name the service.
    """
    from ministack.services import iam, sts

    account, role_name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    role = iam._roles.get(role_name)
    if role is None or not _trusts(role["AssumeRolePolicyDocument"], service):
        raise PermissionError(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            f"'{service}' to assume the role."
        )

    def derive(purpose: str) -> str:
        return hmac.new(_SESSION_KEY, f"{purpose}:{role_arn}:{session_name}".encode(), "sha256").hexdigest()

    access_key = "ASIA" + derive("access key")[:16].upper()
    session = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}",
        "UserId": f"{role_name}:{session_name}",
        "SecretAccessKey": derive("secret"),
        "SessionToken": derive("token"),
    }
    sts.register_session(access_key, session)
    return {
        "aws_access_key_id": access_key,
        "aws_secret_access_key": session["SecretAccessKey"],
        "aws_session_token": session["SessionToken"],
    }


def _trusts(trust_policy: str | dict[str, Any], service: str) -> bool:
    from ministack.core import iam_evaluator

    document = json.loads(trust_policy) if isinstance(trust_policy, str) else trust_policy
    return any(
        statement.get("Effect") == "Allow"
        and "sts:AssumeRole" in statement.get("Action", [])
        and iam_evaluator._service_principal_matches(statement.get("Principal"), service)
        for statement in document.get("Statement", [])
    )


def role_allows(
    role_arn: str, action: str, resource: str, region: str, context: Mapping[str, str] | None = None
) -> bool:
    """Return whether the identity policies of a role allow an action that no local service would check.

    `context` has the condition keys of the call, in lower case.
    """
    from ministack.core import iam_evaluator

    account, role_name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    evaluated = iam_evaluator.EvalContext(
        principal_arn=role_arn,
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=region,
        service_context=dict(context or {}),
    )
    policies = iam_evaluator._gather_role_policies(role_name, account)
    return bool(iam_evaluator.evaluate(evaluated, policies).decision == "Allow")


def refuse_to_pass(role_arn: str, service: str, headers: Mapping[str, str], query: Any) -> Response | None:
    """MiniStack never asks whether a caller may pass a role: return the refusal if it may not."""
    from ministack import app

    refusal: Response | None = app._enforce_data_plane(
        service,
        "iam:PassRole",
        headers,
        query,
        str(uuid.uuid4()),
        resource_arn=role_arn,
        service_context={"iam:PassedToService": f"{service}.amazonaws.com"},
        named_resource=role_arn,
    )
    return refusal


def put_event(source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]) -> None:
    """Tell EventBridge what a service of AWS tells it, in the account and region of the request under way."""
    from ministack.services import eventbridge

    event = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "Resources": resources}
    eventbridge._put_events({"Entries": [event]}, allow_aws_source=True)


class Databases(Protocol):
    """Whatever has a PostgreSQL server for each cluster."""

    def address(self, cluster: StoredCluster, /) -> tuple[str, int]:
        """Return where a cluster's server listens."""
        ...

    def remove(self, cluster_arn: str, /) -> None:
        """Stop the server of a cluster that is deleted."""
        ...


class AlarmKey(NamedTuple):
    """Where an alarm is."""

    account: str
    region: str
    name: str


class StoredDatapoint(NamedTuple):
    """What was published at once.

    Args:
        timestamp: Seconds since the epoch.
        unit: Its unit, ``None`` as a text when there is none.
        statistics: How many values, their sum, the least and the greatest.
    """

    timestamp: float
    unit: str
    statistics: tuple[float, float, float, float]


def let_us_evaluate_alarms() -> None:
    """MiniStack evaluates alarms only when a metric is put, over all dimensions, without M of N or missing data.

    :class:`sm_local.cloudwatch.alarms.Alarms` does it instead.
    """
    from ministack.services import cloudwatch

    cloudwatch._evaluate_alarm = lambda _alarm: None


def keep_alarms_whole(check: Callable[[Mapping[str, Any]], object]) -> None:
    """MiniStack drops metric math from alarms and refuses it in templates; it accepts what CloudWatch refuses.

    `check` raises ValueError for what must be refused.
    """
    from ministack.services import cloudwatch
    from ministack.services.cloudformation import provisioners

    put_metric_alarm, record_of_template = cloudwatch._put_metric_alarm, provisioners._cw_metric_alarm_record

    def put(params: Any, data: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Response:
        definition = data if is_cbor or is_json else query_parameters(params)
        try:
            check(definition)
        except ValueError as error:
            refusal: Response = cloudwatch._error(
                "ValidationError", str(error), 400, use_json=is_json, use_cbor=is_cbor
            )
            return refusal
        response: Response = put_metric_alarm(params, data, is_cbor, is_json)
        if response[0] == 200:
            complete(cloudwatch._alarms[definition["AlarmName"]], definition)
        return response

    def record(name: str, properties: dict[str, Any]) -> StoredAlarm:
        check(properties)
        metric = {"MetricName": "-", "Namespace": "-"} if properties.get("Metrics") else {}
        alarm: StoredAlarm = record_of_template(name, {**properties, **metric, "Metrics": None})
        return complete(alarm, properties)

    def complete(alarm: StoredAlarm, definition: Mapping[str, Any]) -> StoredAlarm:
        if low_samples := definition.get("EvaluateLowSampleCountPercentile"):
            alarm["EvaluateLowSampleCountPercentile"] = low_samples
        if queries := definition.get("Metrics"):
            alarm["Metrics"] = queries
            for of_one_metric in _OF_ONE_METRIC:
                alarm.pop(of_one_metric, None)
        return alarm

    cloudwatch._put_metric_alarm = put
    provisioners._cw_metric_alarm_record = record


def query_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what AWS's query protocol has flattened.

    >>> query_parameters({"AlarmName": ["a"], "Metrics.member.1.Id": ["m1"], "Metrics.member.2.Id": ["m2"]})
    {'AlarmName': 'a', 'Metrics': [{'Id': 'm1'}, {'Id': 'm2'}]}
    """
    tree: dict[str, Any] = {}
    for path, values in parameters.items():
        *parents, last = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = values[0] if isinstance(values, list) else values

    def nested(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        if set(node) == {"member"}:
            return [nested(node["member"][index]) for index in sorted(node["member"], key=int)]
        return {name: nested(value) for name, value in node.items()}

    result: dict[str, Any] = nested(tree)
    return result


def refuse_suppressed_composite_alarms() -> None:
    """MiniStack forgets that a composite alarm's actions are to be suppressed, and acts: refuse instead."""
    from ministack.services import cloudwatch

    put_composite_alarm = cloudwatch._put_composite_alarm

    def put(params: Any, data: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Response:
        if data.get("ActionsSuppressor") or params.get("ActionsSuppressor"):
            refusal: Response = cloudwatch._error(
                "ValidationError",
                "ActionsSuppressor is not supported by the local AWS",
                400,
                use_json=is_json,
                use_cbor=is_cbor,
            )
            return refusal
        response: Response = put_composite_alarm(params, data, is_cbor, is_json)
        return response

    cloudwatch._put_composite_alarm = put


def add_composite_alarms() -> None:
    """MiniStack's CloudFormation has no composite alarm, though its API has."""
    from ministack.services import cloudwatch
    from ministack.services.cloudformation import provisioners

    def call(operation: Callable[..., Response], request: dict[str, Any]) -> None:
        status, _headers, body = operation({}, request, False, True)
        if status != 200:
            raise ValueError(json.loads(body)["message"])

    def name_of(logical_id: str, properties: dict[str, Any], stack: str) -> str:
        return str(properties.get("AlarmName") or provisioners._physical_name(stack, logical_id, max_len=255))

    def put(name: str, properties: dict[str, Any]) -> tuple[str, dict[str, str]]:
        actions_enabled = str(properties.get("ActionsEnabled", True)).lower() == "true"
        call(
            cloudwatch._put_composite_alarm,
            {**properties, "AlarmName": name, "ActionsEnabled": actions_enabled, "Tags": None},
        )
        cloudwatch.cloudformation_set_metric_alarm_tags(name, properties.get("Tags") or [])
        return name, {"Arn": str(cloudwatch._composite_alarms[name]["AlarmArn"])}

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
        return put(name_of(logical_id, properties, stack), properties)

    def update(
        _name: str, _old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str
    ) -> tuple[str, dict[str, str]]:
        return put(name_of(logical_id, new, stack), new)

    def delete(name: str, _properties: dict[str, Any]) -> None:
        call(cloudwatch._delete_alarms, {"AlarmNames": [name]})

    provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::CompositeAlarm"] = {
        "create": create,
        "update": update,
        "update_with_logical_id": True,
        "delete": delete,
    }


def tell_eventbridge_of_alarms() -> None:
    """MiniStack's alarms tell only SNS of a new state: tell EventBridge, too, as CloudWatch always does.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
    """
    from ministack.services import cloudwatch

    dispatch = cloudwatch._dispatch_alarm_actions

    def dispatch_and_tell(alarm: StoredAlarm, old_state: str, new_state: str, reason: str) -> None:
        dispatch(alarm, old_state, new_state, reason)
        detail = {
            "alarmName": alarm["AlarmName"],
            "state": {
                "value": new_state,
                "reason": reason,
                "reasonData": alarm.get("StateReasonData", ""),
                "timestamp": cloudwatch._ts_iso(alarm["StateUpdatedTimestamp"]),
            },
            "previousState": {"value": old_state},
            "configuration": {"description": alarm.get("AlarmDescription", "")},
        }
        put_event("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [alarm["AlarmArn"]])

    cloudwatch._dispatch_alarm_actions = dispatch_and_tell


def keep_datapoints_of_other_threads() -> None:
    """MiniStack copies all datapoints at every CloudWatch request, and loses what a thread adds meanwhile.

    It does so to drop what is older than two weeks: drop that in place, from the oldest on.
    """
    from ministack.services import cloudwatch

    def drop_old() -> None:
        oldest = time.time() - cloudwatch.TWO_WEEKS_SECONDS
        for key, points in cloudwatch._metrics.items():
            while points and points[0]["Timestamp"] < oldest:
                del points[0]
            if not points:
                del cloudwatch._metrics[key]

    cloudwatch._evict_old_metrics = drop_old


def stored_alarms() -> dict[AlarmKey, StoredAlarm]:
    """Return the metric alarms of all accounts and regions; another object is another definition."""
    from ministack.services import cloudwatch

    return {AlarmKey(*key): alarm for key, alarm in list(cloudwatch._alarms.to_dict().items())}


def alarm_state(name: str) -> Any:
    """Return the state of an alarm of either kind in the account and region of the request under way.

    Raises:
        KeyError: There is none.
    """
    from ministack.services import cloudwatch

    alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms[name]
    return alarm["StateValue"]


def change_alarm_state(key: AlarmKey, state: str, reason: str, data: Mapping[str, Any]) -> None:
    """Give a metric alarm another state: with history, actions, and the composite alarms that depend on it."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch

    with request_scope(key.account, key.region):
        alarm = cloudwatch._alarms[key.name]
        old_state, now = alarm["StateValue"], int(time.time())
        alarm.update(
            StateValue=state,
            StateReason=reason,
            StateReasonData=json.dumps(data),
            StateUpdatedTimestamp=now,
            StateTransitionedTimestamp=now,
        )
        cloudwatch._record_history(key.name, old_state, state, reason, reason_data=data)
        cloudwatch._dispatch_alarm_actions(alarm, old_state, state, reason)
        cloudwatch._evaluate_parent_alarms(alarm)


def datapoints(
    key: AlarmKey, namespace: str, name: str, dimensions: Mapping[str, str], *, since: float
) -> Iterator[StoredDatapoint]:
    """Yield what was published to a metric in the account and region of an alarm, from a time on."""
    from ministack.services import cloudwatch

    metric = (namespace, name, cloudwatch._dims_key(dict(dimensions)))
    for point in list(cloudwatch._metrics.get_scoped(key.account, key.region, metric, ())):
        if point["Timestamp"] >= since:
            yield StoredDatapoint(point["Timestamp"], point["Unit"], cloudwatch._point_stats(point))


def put_datapoint(
    namespace: str,
    name: str,
    dimensions: Mapping[str, str],
    value: float,
    unit: str,
    timestamp: float,
    same_time: Callable[[float, float], bool],
) -> None:
    """Publish a value in the account and region of the request under way.

    MiniStack keeps every datapoint, so one that equals the last, at the same time, is counted there.
    """
    from ministack.services import cloudwatch

    points = cloudwatch._metric_bucket((namespace, name, cloudwatch._dims_key(dict(dimensions))))
    last = points[-1] if points else {}
    same_value = "_stat" not in last and (last.get("Value"), last.get("Unit")) == (value, unit)
    if same_value and same_time(last["Timestamp"], timestamp):
        last["Count"] = last.get("Count", 1.0) + 1.0
    else:
        points.append({"Timestamp": timestamp, "Value": value, "Unit": unit, "Dimensions": dict(dimensions)})


def let_rds_manage_passwords() -> None:
    """MiniStack's CloudFormation forgets ManageMasterUserPassword and AssociatedRoles of a cluster: keep both.

    Its API makes the secret; so does this, and deletes it with the cluster.
    """
    from ministack.services import rds, secretsmanager
    from ministack.services.cloudformation import provisioners

    create, delete = provisioners._rds_db_cluster_create, provisioners._rds_db_cluster_delete
    fields_of, attributes_of = provisioners._rds_db_cluster_fields, provisioners._rds_db_cluster_attrs

    def create_with_secret(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
        identifier, _attributes = create(logical_id, properties, stack)
        cluster: StoredCluster = rds._clusters[identifier]
        if str(properties.get("ManageMasterUserPassword", "")).lower() == "true":
            password = rds._generate_master_user_password()
            content = json.dumps({"username": cluster["MasterUsername"], "password": password})
            secret = secretsmanager.create_secret_in_process(f"rds!cluster-{uuid.uuid4()}", content)
            cluster["_MasterUserPassword"] = password
            cluster["MasterUserSecret"] = {"SecretArn": secret, "SecretStatus": "active", "KmsKeyId": ""}
            cluster["MasterUserSecret"] |= properties.get("MasterUserSecret") or {}
        return identifier, attributes(cluster)

    def attributes(cluster: StoredCluster) -> dict[str, str]:
        secret = cluster.get("MasterUserSecret")
        return {**attributes_of(cluster), **({"MasterUserSecret.SecretArn": secret["SecretArn"]} if secret else {})}

    def fields(properties: dict[str, Any]) -> dict[str, Any]:
        return {**fields_of(properties), "AssociatedRoles": properties.get("AssociatedRoles") or []}

    def delete_with_secret(identifier: str, properties: dict[str, Any]) -> None:
        if secret := rds._clusters.get(identifier, {}).get("MasterUserSecret"):
            secretsmanager.delete_secret_in_process(secret["SecretArn"])
        delete(identifier, properties)

    provisioners._rds_db_cluster_create = create_with_secret
    provisioners._rds_db_cluster_delete = delete_with_secret
    provisioners._rds_db_cluster_fields = fields
    provisioners._rds_db_cluster_attrs = attributes
    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::RDS::DBCluster"] = {
        **handlers["AWS::RDS::DBCluster"],
        "create": create_with_secret,
        "delete": delete_with_secret,
    }


def answer_sql_by_postgresql(
    address: Callable[[StoredCluster], tuple[str, int]], remove: Callable[[str], None]
) -> None:
    """MiniStack has SQL run by containers, or else makes answers up: let it run by a server of ours.

    `address` returns where a cluster's server listens; `remove` is called with the ARN of a cluster that is deleted.
    """
    from ministack.services import rds, rds_data
    from ministack.services.cloudformation import provisioners

    resolve, delete = rds_data._resolve_target, provisioners._rds_db_cluster_delete

    def resolve_target(resource_arn: str) -> tuple[Any, Any, Any]:
        instance, engine, cluster = resolve(resource_arn)
        if instance is None or cluster is None or engine != "aurora-postgresql":
            return instance, engine, cluster
        host, port = address(cluster)
        served = {"_docker_container_id": "sm_local", "_internal_address": host, "_internal_port": port}
        return {**instance, **served, "Endpoint": {"Address": host, "Port": port}}, engine, cluster

    def delete_and_remove(identifier: str, properties: dict[str, Any]) -> None:
        if cluster := rds._clusters.get(identifier):
            remove(cluster["DBClusterArn"])
        delete(identifier, properties)

    rds_data._resolve_target = resolve_target
    provisioners._rds_db_cluster_delete = delete_and_remove
    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::RDS::DBCluster"] = {**handlers["AWS::RDS::DBCluster"], "delete": delete_and_remove}


def run_sql_on_threads() -> None:
    """MiniStack runs SQL on its one event loop, where a statement that waits for a lock stops everything for ever."""
    from ministack.services import rds_data

    handle = rds_data.handle_request
    threads = ThreadPoolExecutor(_MOST_STATEMENTS, thread_name_prefix="rds-data")

    async def handle_on_thread(*request: Any) -> Response:
        context = contextvars.copy_context()
        answer: Response = await asyncio.get_running_loop().run_in_executor(
            threads, lambda: context.run(asyncio.run, handle(*request))
        )
        return answer

    rds_data.handle_request = handle_on_thread


def check_who_may_read_the_secret() -> None:
    """MiniStack's Data API reads the secret itself; AWS's reads it with the permissions of the caller.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/data-api.access.html
    """
    from ministack import app

    enforce = app._enforce_rds_data

    def enforce_both(method: str, path: str, headers: Any, body: bytes, query: Any, request_id: str) -> Any:
        if denied := enforce(method, path, headers, body, query, request_id):
            return denied
        try:
            secret = str(json.loads(body)["secretArn"])
        except (ValueError, KeyError, TypeError):
            return None  # refused for that
        return app._enforce_data_plane(
            "rds-data",
            "secretsmanager:GetSecretValue",
            headers,
            query,
            request_id,
            resource_arn=secret,
            named_resource=secret,
        )

    app._enforce_rds_data = enforce_both


def type_texts_as_the_data_api_does() -> None:
    """MiniStack writes texts into statements as literals, which PostgreSQL turns into any type.

    The Data API hands them over as varchar, which it does not: a cast that is missing must fail here, too.
    """
    from ministack.services import rds_data

    substitute = rds_data._substitute_named_params

    def substitute_typed(sql: str, parameters: Mapping[str, Any]) -> str:
        substituted = str(substitute(sql, parameters))
        for name, value in parameters.items():
            if isinstance(value, str):
                substituted = substituted.replace(f"%({name})s", f"CAST(%({name})s AS varchar)")
        return substituted

    rds_data._substitute_named_params = substitute_typed


def fail_sql_as_the_data_api_does() -> None:
    """MiniStack calls an error of PostgreSQL's a bad request: name it and its code as the Data API does."""
    from ministack.services import rds_data

    fail = rds_data._sql_execution_error

    def fail_with_state(error: Exception) -> Response:
        state, message = getattr(error, "pgcode", None), str(error).strip()
        if state is None or "statement timeout" in message:
            failed: Response = fail(error)
            return failed
        refused: Response = rds_data._error("DatabaseErrorException", f"ERROR: {message}; SQLState: {state}")
        return refused

    rds_data._sql_execution_error = fail_with_state


def authorize_batches_as_their_single_calls() -> None:
    """MiniStack asks for ``sqs:SendMessageBatch`` and such: AWS has no such permissions, but those of one message.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
    https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html
    """
    from ministack.core import iam_actions

    extract = iam_actions.extract_iam_action

    def extract_iam_action(*arguments: Any) -> str | None:
        action = extract(*arguments)
        return None if action is None else _SINGLE_CALLS.get(action, action)

    iam_actions.extract_iam_action = extract_iam_action


def send_no_message_into_a_list_about_to_be_replaced() -> None:
    """MiniStack's event sources replace a queue's list of messages in threads of their own, to delete some.

    What is sent meanwhile is lost with the old list: let it wait for their lock.
    """
    from ministack.services import sqs

    send = sqs._act_send_message

    def send_message(data: dict[str, Any], queue_url: str) -> Any:
        with sqs._queues_lock:
            return send(data, queue_url)

    sqs._act_send_message = send_message
    sqs._HANDLERS["SendMessage"] = send_message


def add_message_moves(handlers: Mapping[str, Callable[[dict[str, Any], str], dict[str, Any]]]) -> None:
    """MiniStack cannot drive dead letters back: add the actions that do, authorized on the queue they name."""
    from ministack.core import iam_actions
    from ministack.services import sqs

    sqs._HANDLERS.update(handlers)
    resource_of_others = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        if service == "sqs" and headers.get("x-amz-target", "").rpartition(".")[2] in handlers:
            request = json.loads(body)
            return str(request.get("SourceArn") or request.get("TaskHandle", "").partition("/")[2] or "*")
        return str(resource_of_others(service, method, path, headers, body, query, region, account))

    iam_actions.extract_resource_arn = extract_resource_arn


def sqs_error(code: str, message: str) -> Exception:
    """Return what an SQS action raises to be answered with an error."""
    from ministack.services import sqs

    error: Exception = sqs._Err(code, message)
    return error


def is_dead_letter_queue(arn: str) -> bool:
    """Return whether an SQS queue keeps the dead letters of another.

    Raises:
        KeyError: There is no such queue.
    """
    from ministack.services import sqs

    if sqs._queue_by_arn(arn) is None:
        raise KeyError(arn)
    policies = [queue["attributes"].get("RedrivePolicy") for queue in list(sqs._queues.values())]
    return any(json.loads(policy)["deadLetterTargetArn"] == arn for policy in policies if policy)


def messages_in(arn: str) -> int:
    """Return how many messages an SQS queue has, hidden ones included."""
    from ministack.services import sqs

    return len(sqs._queue_by_arn(arn)["messages"])


def move_message(source_arn: str, destination_arn: str | None) -> bool:
    """Move the first message that is not hidden, as a new one, and return whether there was any.

    It goes to the queue that it died in, when no destination is named.
    """
    from ministack.core.responses import new_uuid
    from ministack.services import sqs

    with sqs._queues_lock:
        source, now = sqs._queue_by_arn(source_arn), time.time()
        message = next((each for each in source["messages"] if each["visible_at"] <= now), None)
        if message is None:
            return False
        destination = sqs._queue_by_arn(destination_arn or message["sys"]["DeadLetterQueueSourceArn"])
        source["messages"].remove(message)
        anew = {"id": new_uuid(), "sent_at": now, "visible_at": now, "receive_count": 0, "receipt_handle": None}
        system = {name: value for name, value in message["sys"].items() if name != "DeadLetterQueueSourceArn"}
        destination["messages"].append({**message, **anew, "first_receive_at": None, "sys": system})
    sqs.esm_wake.set()
    return True


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


def name_exceptions_of_functions() -> None:
    """MiniStack calls every exception of a Lambda function ``Runtime.HandlerError``: name it, as Lambda does.

    Retry and Catch go by that name.
    """
    from ministack.services import lambda_svc

    execute = lambda_svc._execute_function_with_config_scope

    def execute_and_name(*arguments: Any, **options: Any) -> Any:
        answer = execute(*arguments, **options)
        body = answer.get("body") if isinstance(answer, dict) and answer.get("error") else None
        if not isinstance(body, dict) or body.get("errorType") != "Runtime.HandlerError":
            return answer
        return {
            **answer,
            "body": {**body, "errorType": exception_name(str(answer.get("log", ""))) or body["errorType"]},
        }
        return answer

    lambda_svc._execute_function_with_config_scope = execute_and_name


def exception_name(log: str) -> str | None:
    r"""Return the class of the exception that the last traceback in a log ends with.

    >>> trace = "Traceback (most recent call last):\n  File a.py, line 1\nlogic.DatasetError: row 3\n  is broken"
    >>> exception_name(trace)
    'DatasetError'
    """
    _, found, trace = log.rpartition("Traceback (most recent call last):\n")
    lines = (line for line in trace.splitlines() if not line.startswith(" ")) if found else iter(())
    match = re.match(r"[\w.]+", next(lines, ""))
    return match[0].rsplit(".", 1)[-1] if match else None


def stop_lambda_workers() -> None:
    """Kill the worker processes that MiniStack keeps warm; it leaves them running at exit."""
    from ministack.core import lambda_runtime

    lambda_runtime.reset()


def scope() -> tuple[str, str]:
    """Return account and region of the request under way."""
    from ministack.core import responses

    return str(responses.get_account_id()), str(responses.get_region())


def apply(
    sagemaker: ServiceHandler,
    resource_types: ResourceHandlers,
    check_alarm: Callable[[Mapping[str, Any]], object],
    databases: Databases,
) -> None:
    """Apply all of the above to the MiniStack in this process.

    Raises:
        RuntimeError: Another version of MiniStack is installed.
    """
    from importlib.metadata import version

    from sm_local.message_moves import MessageMoves
    from sm_local.workflows import permissions, result_writer, sagemaker_tasks

    if (found := version("ministack")) != MINISTACK_VERSION:
        raise RuntimeError(f"sm_local patches ministack {MINISTACK_VERSION}, found {found}: run `make setup`")
    add_sagemaker(sagemaker)
    add_resource_types(resource_types)
    map_execute_api_host()
    keep_request_validators()
    check_requests_as_api_gateway_does()
    say_what_is_wrong_with_a_body()
    answer_without_waiting_for_logs()
    let_us_evaluate_alarms()
    keep_alarms_whole(check_alarm)
    refuse_suppressed_composite_alarms()
    add_composite_alarms()
    tell_eventbridge_of_alarms()
    keep_datapoints_of_other_threads()
    let_rds_manage_passwords()
    answer_sql_by_postgresql(databases.address, databases.remove)
    run_sql_on_threads()
    check_who_may_read_the_secret()
    type_texts_as_the_data_api_does()
    fail_sql_as_the_data_api_does()
    authorize_batches_as_their_single_calls()
    send_no_message_into_a_list_about_to_be_replaced()
    add_message_moves(MessageMoves().handlers)
    tell_tasks_their_execution()
    authorize_tasks(permissions.check)
    stop_tasks_that_time_out()
    add_integrations(sagemaker_tasks.handlers())
    run_parallel_states_in_jsonata()
    complete_distributed_maps(permissions.check_map, result_writer.write_results)
    name_exceptions_of_functions()
