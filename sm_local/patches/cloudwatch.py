"""CloudWatch: alarms evaluated by us, with metric math, and datapoints from many threads."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from sm_local.patches.core import Response
from sm_local.patches.eventbridge import put_event

StoredAlarm: TypeAlias = dict[str, Any]  # in the form of PutMetricAlarm, with its state

_OF_ONE_METRIC = ("MetricName", "Namespace", "Dimensions", "Period", "Statistic", "ExtendedStatistic", "Unit")


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
