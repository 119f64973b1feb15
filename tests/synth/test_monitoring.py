"""Monitoring: what it watches, how it warns, and that the metrics exist as AWS documents them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns

from sm_constructs import Endpoint, InvalidPropsError, Monitoring
from sm_constructs.monitoring import (
    ApiThresholds,
    EndpointThresholds,
    Evaluation,
    FunctionThresholds,
    api,
    endpoint,
    functions,
)
from sm_constructs.monitoring.metrics import MetricKind

DOCUMENTED = tomllib.loads((Path(__file__).parent / "cloudwatch_metrics.toml").read_text())["service"]
MILLISECONDS = {"Milliseconds": 1, "Microseconds": 1000}


def api_of(stack: cdk.Stack, name: str = "reviews") -> apigateway.IRestApi:
    return apigateway.RestApi.from_rest_api_attributes(
        stack, f"{name}Api", rest_api_id="a1b2c3", root_resource_id="d4e5f6", rest_api_name=name
    )


def watch_everything(
    stack: cdk.Stack,
    *,
    construct_id: str = "Monitoring",
    api: ApiThresholds | None = None,
    function: FunctionThresholds | None = None,
    endpoint: EndpointThresholds | None = None,
) -> Monitoring:
    monitoring = Monitoring(stack, construct_id)
    monitoring.monitor_api(api_of(stack), stage_name="v1", thresholds=api)
    monitoring.monitor_function(
        lambda_.Function.from_function_name(stack, "Function", "classify"), name="Classify", thresholds=function
    )
    monitoring.monitor_endpoint(Endpoint.from_endpoint_name(stack, "Model", "reviews"), thresholds=endpoint)
    return monitoring


def resources(stack: cdk.Stack, resource_type: str) -> list[dict[str, Any]]:
    found = assertions.Template.from_stack(stack).find_resources(resource_type)
    return [resource["Properties"] for resource in found.values()]


def alarms(stack: cdk.Stack) -> dict[str, dict[str, Any]]:
    """All alarms, by their metric's name."""
    return {alarm["MetricName"]: alarm for alarm in resources(stack, "AWS::CloudWatch::Alarm")}


def widgets(stack: cdk.Stack) -> list[dict[str, Any]]:
    """All widgets of the stack's only dashboard; what CloudFormation fills in stands as its JSON."""
    (dashboard,) = resources(stack, "AWS::CloudWatch::Dashboard")
    body = dashboard["DashboardBody"]
    parts = body["Fn::Join"][1] if isinstance(body, dict) else [body]
    text = "".join(part if isinstance(part, str) else json.dumps(json.dumps(part))[1:-1] for part in parts)
    found: list[dict[str, Any]] = json.loads(text)["widgets"]
    return found


def documented(namespace: str, name: str) -> dict[str, Any]:
    """The documentation's entry for a metric, with its service's dimensions."""
    for service in DOCUMENTED:
        for metric in service["metrics"]:
            if (service["namespace"], metric["name"]) == (namespace, name):
                return {**service, **metric}
    pytest.fail(f"{namespace} {name} is in none of the documentation's pages")


def assert_documented(namespace: str, name: str, dimensions: list[str], statistic: str) -> None:
    entry = documented(namespace, name)
    assert sorted(dimensions) in entry["dimensions"], f"{name} is not published with {dimensions}: {entry['source']}"
    family = "percentiles" if statistic.startswith("p") else statistic
    assert family in entry["statistics"], f"{statistic} of {name} is not documented: {entry['source']}"


def test_every_alarm_watches_a_documented_metric_with_all_of_its_dimensions(stack: cdk.Stack) -> None:
    watch_everything(stack)
    found = resources(stack, "AWS::CloudWatch::Alarm")
    assert len(found) == 7
    for alarm in found:
        dimensions = [dimension["Name"] for dimension in alarm["Dimensions"]]
        statistic = alarm.get("Statistic") or alarm["ExtendedStatistic"]
        assert_documented(alarm["Namespace"], alarm["MetricName"], dimensions, statistic)


def test_every_line_of_the_dashboard_is_a_documented_metric_with_all_of_its_dimensions(stack: cdk.Stack) -> None:
    watch_everything(stack)
    lines = [line for widget in widgets(stack) for line in widget["properties"].get("metrics", [])]
    assert len(lines) == 15
    for namespace, name, *dimensions, rendering in lines:
        assert_documented(namespace, name, dimensions[::2], rendering.get("stat", "Average"))


KINDS = [
    kind for module in (api, endpoint, functions) for kind in vars(module).values() if isinstance(kind, MetricKind)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.namespace} {kind.name}")
def test_every_metric_has_the_documented_unit_and_a_documented_statistic(kind: MetricKind) -> None:
    entry = documented(kind.namespace, kind.name)
    assert kind.unit.value == entry["unit"].upper()
    assert_documented(kind.namespace, kind.name, entry["dimensions"][0], kind.statistic)


def test_every_metric_of_an_endpoint_is_published_for_serverless_variants_too() -> None:
    (service,) = [service for service in DOCUMENTED if service["namespace"] == "AWS/SageMaker"]
    published = {metric["name"] for metric in service["metrics"]}
    # The exhaustive list of https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-monitoring.html,
    # whose two error metrics are the ones that the page it refers to calls Invocation4XXErrors and so on.
    assert published <= {
        "Invocation4XXErrors",
        "Invocation5XXErrors",
        "Invocations",
        "ModelLatency",
        "OverheadLatency",
        "ModelSetupTime",
        "MemoryUtilization",
    }


def test_a_latency_threshold_is_written_in_the_unit_that_the_service_publishes(stack: cdk.Stack) -> None:
    watch_everything(
        stack,
        api=ApiThresholds(latency_p99=cdk.Duration.millis(1500)),
        endpoint=EndpointThresholds(model_latency=cdk.Duration.millis(250)),
    )
    for name, milliseconds in {"Latency": 1500, "ModelLatency": 250}.items():
        alarm = alarms(stack)[name]
        factor = MILLISECONDS[documented(alarm["Namespace"], name)["unit"]]
        assert alarm["Threshold"] == milliseconds * factor


def test_alarms_are_plain_and_name_no_unit_that_would_hide_their_data(stack: cdk.Stack) -> None:
    watch_everything(stack)
    for alarm in resources(stack, "AWS::CloudWatch::Alarm"):
        assert "Metrics" not in alarm
        assert "Unit" not in alarm


def test_an_alarm_goes_off_after_3_of_5_bad_minutes_and_never_for_want_of_requests(stack: cdk.Stack) -> None:
    watch_everything(stack)
    for alarm in resources(stack, "AWS::CloudWatch::Alarm"):
        assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"], alarm["Period"]) == (3, 5, 60)
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


def test_thresholds_are_the_documented_defaults_when_omitted(stack: cdk.Stack) -> None:
    watch_everything(stack)
    assert {name: alarm["Threshold"] for name, alarm in alarms(stack).items()} == {
        "5XXError": 0.05,
        "Latency": 5_000,
        "Errors": 1,
        "Throttles": 1,
        "Invocation5XXErrors": 0.05,
        "Invocation4XXErrors": 0.05,
        "ModelLatency": 2_000_000,
    }


def test_thresholds_and_evaluation_can_be_chosen_for_each_part(stack: cdk.Stack) -> None:
    evaluation = Evaluation(period=cdk.Duration.minutes(5), datapoints_to_alarm=1, evaluation_periods=2)
    watch_everything(
        stack,
        api=ApiThresholds(server_error_rate=0.5),
        function=FunctionThresholds(errors=7, throttles=8, evaluation=evaluation),
        endpoint=EndpointThresholds(server_error_rate=0.25, client_error_rate=0.75),
    )
    found = alarms(stack)
    chosen = {"5XXError": 0.5, "Errors": 7, "Throttles": 8, "Invocation5XXErrors": 0.25, "Invocation4XXErrors": 0.75}
    assert {name: found[name]["Threshold"] for name in chosen} == chosen
    errors = found["Errors"]
    assert (errors["DatapointsToAlarm"], errors["EvaluationPeriods"], errors["Period"]) == (1, 2, 300)
    assert found["5XXError"]["Period"] == 60


def test_every_alarm_tells_the_topic_when_it_goes_off_and_when_all_is_well(stack: cdk.Stack) -> None:
    monitoring = watch_everything(stack)
    topic = stack.resolve(monitoring.topic.topic_arn)
    for alarm in resources(stack, "AWS::CloudWatch::Alarm"):
        assert alarm["AlarmActions"] == [topic]
        assert alarm["OKActions"] == [topic]


def test_every_alarm_says_what_is_wrong_and_then_what_to_do(stack: cdk.Stack) -> None:
    watch_everything(stack)
    descriptions = [alarm["AlarmDescription"] for alarm in resources(stack, "AWS::CloudWatch::Alarm")]
    assert len(set(descriptions)) == len(descriptions)
    for description in descriptions:
        assert description.count(". ") >= 1
        assert len(description) <= 1024  # what CloudWatch takes


def test_the_topic_is_encrypted_with_a_key_that_cloudwatch_may_use(stack: cdk.Stack) -> None:
    Monitoring(stack, "Monitoring")
    (topic,) = resources(stack, "AWS::SNS::Topic")
    (key,) = resources(stack, "AWS::KMS::Key")
    ((key_id, _),) = assertions.Template.from_stack(stack).find_resources("AWS::KMS::Key").items()
    assert topic["KmsMasterKeyId"] == {"Fn::GetAtt": [key_id, "Arn"]}
    assert key["EnableKeyRotation"] is True
    assert {
        "Sid": "AllowAlarms",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
    } in key["KeyPolicy"]["Statement"]


def test_the_topic_takes_messages_over_tls_only_and_from_this_accounts_alarms(stack: cdk.Stack) -> None:
    monitoring = Monitoring(stack, "Monitoring")
    topic = stack.resolve(monitoring.topic.topic_arn)
    (policy,) = resources(stack, "AWS::SNS::TopicPolicy")
    denied, allowed = policy["PolicyDocument"]["Statement"]
    assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert allowed == {
        "Sid": "AllowAlarms",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
    }


def test_a_key_handed_in_is_used_and_lets_cloudwatch_in(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Mine")
    Monitoring(stack, "Monitoring", encryption_key=key)
    (topic,) = resources(stack, "AWS::SNS::Topic")
    (only_key,) = resources(stack, "AWS::KMS::Key")
    assert topic["KmsMasterKeyId"] == stack.resolve(key.key_arn)
    principals = [statement["Principal"] for statement in only_key["KeyPolicy"]["Statement"]]
    assert {"Service": "cloudwatch.amazonaws.com"} in principals


def test_an_imported_key_brings_a_warning_that_its_policy_must_let_cloudwatch_in(stack: cdk.Stack) -> None:
    key = kms.Key.from_key_arn(stack, "Theirs", "arn:aws:kms:us-east-1:111122223333:key/theirs")
    Monitoring(stack, "Monitoring", encryption_key=key)
    assertions.Annotations.from_stack(stack).has_warning(
        "/Stack/Monitoring", assertions.Match.string_like_regexp("kms:Decrypt and kms:GenerateDataKey")
    )


def test_a_topic_handed_in_is_used_and_nothing_else_is_made(stack: cdk.Stack) -> None:
    topic = sns.Topic(stack, "Mine")
    monitoring = Monitoring(stack, "Monitoring", topic=topic)
    assert monitoring.topic is topic
    template = assertions.Template.from_stack(stack)
    template.resource_count_is("AWS::SNS::Topic", 1)
    template.resource_count_is("AWS::KMS::Key", 0)
    (policy,) = resources(stack, "AWS::SNS::TopicPolicy")
    (allowed,) = policy["PolicyDocument"]["Statement"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}


def test_an_imported_topic_brings_a_warning_that_its_policy_must_let_cloudwatch_in(stack: cdk.Stack) -> None:
    topic = sns.Topic.from_topic_arn(stack, "Theirs", "arn:aws:sns:us-east-1:111122223333:theirs")
    Monitoring(stack, "Monitoring", topic=topic)
    assertions.Annotations.from_stack(stack).has_warning(
        "/Stack/Monitoring", assertions.Match.string_like_regexp("sns:Publish")
    )


def test_the_dashboard_has_a_row_for_each_part_with_its_alarms_first(stack: cdk.Stack) -> None:
    watch_everything(stack)
    headings = [widget["properties"]["markdown"] for widget in widgets(stack) if widget["type"] == "text"]
    assert headings == ["## Api", "## Classify", "## Endpoint"]
    states = [widget for widget in widgets(stack) if widget["type"] == "alarm"]
    assert [len(widget["properties"]["alarms"]) for widget in states] == [2, 2, 3]
    assert all(widget["x"] == 0 for widget in states)
    assert {widget["x"] + widget["width"] for widget in widgets(stack)} == {6, 12, 18, 24}


def test_a_threshold_is_drawn_where_its_metric_is(stack: cdk.Stack) -> None:
    watch_everything(stack)
    (graph,) = [widget for widget in widgets(stack) if widget["properties"].get("title") == "Latency (µs)"]
    (line,) = graph["properties"]["annotations"]["horizontal"]
    assert line["value"] == 2_000_000


def test_the_stage_that_an_api_deploys_itself_is_watched(stack: cdk.Stack) -> None:
    api = apigateway.RestApi(
        stack, "Api", rest_api_name="shop", deploy_options=apigateway.StageOptions(stage_name="live")
    )
    api.root.add_method("GET", apigateway.MockIntegration())
    Monitoring(stack, "Monitoring").monitor_api(api)
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarms(stack)["5XXError"]["Dimensions"]}
    assert dimensions == {"ApiName": "shop", "Stage": stack.resolve(api.deployment_stage.stage_name)}


def test_the_first_variant_of_an_endpoint_is_watched_unless_another_is_named(stack: cdk.Stack) -> None:
    endpoint = Endpoint.from_endpoint_name(stack, "Model", "reviews", variant_names=["Blue", "Green"])
    monitoring = Monitoring(stack, "Monitoring")
    monitoring.monitor_endpoint(endpoint, name="First")
    monitoring.monitor_endpoint(endpoint, name="Second", variant_name="Green")
    variants = [alarm["Dimensions"][1]["Value"] for alarm in resources(stack, "AWS::CloudWatch::Alarm")]
    assert sorted(variants) == ["Blue"] * 3 + ["Green"] * 3


def test_two_instances_share_one_key_in_one_stack(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key")
    for construct_id in ("First", "Second"):
        monitoring = Monitoring(stack, construct_id, encryption_key=key)
        monitoring.monitor_endpoint(Endpoint.from_endpoint_name(stack, f"{construct_id}Model", construct_id.lower()))
    (only_key,) = resources(stack, "AWS::KMS::Key")
    sids = [statement.get("Sid") for statement in only_key["KeyPolicy"]["Statement"]]
    assert sids.count("AllowAlarms") == 1  # KMS refuses a policy with a statement id twice
    assert len(resources(stack, "AWS::CloudWatch::Alarm")) == 6


def test_segments_and_their_alarms_can_be_found_by_name(stack: cdk.Stack) -> None:
    monitoring = watch_everything(stack)
    assert {name: sorted(segment.alarms) for name, segment in monitoring.segments.items()} == {
        "Api": ["Latency", "ServerErrors"],
        "Classify": ["Errors", "Throttles"],
        "Endpoint": ["ClientErrors", "ModelLatency", "ServerErrors"],
    }


REFUSALS = [
    pytest.param(
        {"api": ApiThresholds(server_error_rate=0, latency_p99=cdk.Duration.millis(0))},
        [
            "thresholds.server_error_rate is 0: must be above 0 and at most 1, as a share of requests",
            "thresholds.latency_p99 is 0 ms: must be at least 1 ms",
        ],
        id="api",
    ),
    pytest.param(
        {"function": FunctionThresholds(errors=0, throttles=-1)},
        ["thresholds.errors is 0: must be at least 1", "thresholds.throttles is -1: must be at least 1"],
        id="function",
    ),
    pytest.param(
        {
            "endpoint": EndpointThresholds(
                server_error_rate=5, client_error_rate=-0.1, model_latency=cdk.Duration.seconds(61)
            )
        },
        [
            "thresholds.server_error_rate is 5: must be above 0 and at most 1, as a share of requests",
            "thresholds.client_error_rate is -0.1: must be above 0 and at most 1, as a share of requests",
            "thresholds.model_latency is 61000 ms: must be from 1 to 60000 ms",
        ],
        id="endpoint",
    ),
    pytest.param(
        {"api": ApiThresholds(evaluation=Evaluation(period=cdk.Duration.seconds(90), datapoints_to_alarm=0))},
        [
            "thresholds.evaluation.period is 90000 ms: must be whole minutes",
            "thresholds.evaluation.datapoints_to_alarm is 0: must be from 1 to evaluation_periods, which is 5",
        ],
        id="evaluation",
    ),
    pytest.param(
        {"api": ApiThresholds(evaluation=Evaluation(period=cdk.Duration.hours(6)))},
        ["thresholds.evaluation spans 5 periods of 21600000 ms: must be a day at most, all together"],
        id="evaluation of more than a day",
    ),
]


@pytest.mark.parametrize(("thresholds", "problems"), REFUSALS)
def test_thresholds_that_make_no_sense_are_refused_all_at_once(
    stack: cdk.Stack, thresholds: dict[str, Any], problems: list[str]
) -> None:
    with pytest.raises(InvalidPropsError) as refused:
        watch_everything(stack, **thresholds)
    assert refused.value.subject == "Monitoring 'Stack/Monitoring'"
    assert list(refused.value.problems) == problems


def test_a_topic_together_with_a_key_is_refused(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError, match="topic and encryption_key are both given"):
        Monitoring(stack, "Monitoring", topic=sns.Topic(stack, "Topic"), encryption_key=kms.Key(stack, "Key"))


@pytest.mark.parametrize("name", ["Topic", "Dashboard", "Endpoint"])
def test_a_name_that_is_taken_is_refused(stack: cdk.Stack, name: str) -> None:
    monitoring = watch_everything(stack)
    function = lambda_.Function.from_function_name(stack, "Other", "other")
    with pytest.raises(InvalidPropsError, match=f"name is '{name}': must be none of .*'{name}'.*, which are taken"):
        monitoring.monitor_function(function, name=name)


def test_an_api_whose_name_is_not_ascii_is_refused_because_its_metrics_go_by_another(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError, match="api is named '评论': API Gateway drops what is not ASCII"):
        Monitoring(stack, "Monitoring").monitor_api(api_of(stack, "评论"), stage_name="v1")


def test_an_imported_api_without_a_stage_is_refused(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError, match="stage_name is missing"):
        Monitoring(stack, "Monitoring").monitor_api(api_of(stack))
