"""CloudWatch in the local AWS, through boto3 and CloudFormation as on AWS, where a minute lasts a second."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.local_aws import running_local_aws

pytestmark = pytest.mark.e2e

SECONDS_A_MINUTE = 1
PATIENCE_S = 60
_DIMENSIONS = [{"Name": "EndpointName", "Value": "mine"}]


class Account:
    """CloudWatch, with a namespace and names of alarms that no other test uses."""

    def __init__(self) -> None:
        session = boto3.Session()
        self.cloudwatch: Any = session.client("cloudwatch")
        self.cloudformation: Any = session.client("cloudformation")
        self.events: Any = session.client("events")
        self.sqs: Any = session.client("sqs")
        self.suffix = uuid4().hex[:8]
        self.namespace = f"Test/{self.suffix}"

    def name(self, name: str) -> str:
        return f"{name}-{self.suffix}"

    def definition(self, name: str, **changes: Any) -> dict[str, Any]:
        """An alarm that fires when the metric of its name has a sum of at least 1 in a minute."""
        return {
            "AlarmName": self.name(name),
            "Namespace": self.namespace,
            "MetricName": name,
            "Dimensions": _DIMENSIONS,
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            **changes,
        }

    def rate(self, name: str, **changes: Any) -> dict[str, Any]:
        """An alarm that fires when at least 10 % of the calls have an error."""
        alarm = self.definition(name, Threshold=10, **changes)
        metric = {key: alarm.pop(key) for key in ("Namespace", "MetricName", "Dimensions", "Statistic", "Period")}

        def query(of: str) -> dict[str, Any]:
            watched = {"Namespace": metric["Namespace"], "MetricName": of, "Dimensions": _DIMENSIONS}
            return {"Id": of, "MetricStat": {"Metric": watched, "Period": 60, "Stat": "Sum"}, "ReturnData": False}

        expression = {"Id": "rate", "Expression": "100 * errors / calls", "ReturnData": True}
        return {**alarm, "Metrics": [query("errors"), query("calls"), expression]}

    def publish(self, metric: str, *values: float, endpoint: str = "mine") -> None:
        """Publish values, one for each of the last minutes."""
        now, dimensions = datetime.now(UTC), [{"Name": "EndpointName", "Value": endpoint}]
        data = [
            {
                "MetricName": metric,
                "Dimensions": dimensions,
                "Value": value,
                "Timestamp": now - timedelta(seconds=SECONDS_A_MINUTE * back),
            }
            for back, value in enumerate(reversed(values))
        ]
        self.cloudwatch.put_metric_data(Namespace=self.namespace, MetricData=data)

    def state(self, name: str) -> str:
        found = self.cloudwatch.describe_alarms(
            AlarmNames=[self.name(name)], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        (alarm,) = found["MetricAlarms"] + found["CompositeAlarms"]
        return str(alarm["StateValue"])

    def wait_for(self, name: str, state: str) -> None:
        """Wait until an alarm has a state."""
        deadline = time.monotonic() + PATIENCE_S
        while (now := self.state(name)) != state:
            assert time.monotonic() < deadline, f"{name} is {now}, never {state}: {self.history(name)}"
            time.sleep(0.05)

    def history(self, name: str) -> Sequence[str]:
        """Return the states that an alarm has taken since it was made, in order."""
        items = self.cloudwatch.describe_alarm_history(
            AlarmName=self.name(name),
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            HistoryItemType="StateUpdate",
            ScanBy="TimestampAscending",
        )["AlarmHistoryItems"]
        changes = [json.loads(item["HistoryData"]) for item in items]
        states = [(change["oldState"]["stateValue"], change["newState"]["stateValue"]) for change in changes]
        return [new for old, new in states if new != old]

    def messages(self, queue: str, at_least: int = 1) -> list[dict[str, Any]]:
        """Take what is in a queue."""
        taken: list[dict[str, Any]] = []
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
            taken += [json.loads(message["Body"]) for message in found]
            for message in found:
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            if not found and len(taken) >= at_least:
                return taken
            assert time.monotonic() < deadline, f"only {len(taken)} messages came"
            time.sleep(0.05)

    def create_stack(self, resources: Mapping[str, Any], outputs: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Create the stack and return its outputs, or raise WaiterError."""
        template = {"Resources": resources, **({"Outputs": outputs} if outputs else {})}
        stack = self.name("stack")
        self.cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(template))
        self.cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
        (described,) = self.cloudformation.describe_stacks(StackName=stack)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


@pytest.fixture(scope="module")
def _fast_local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    directory = tmp_path_factory.mktemp("fast-local-aws")
    with running_local_aws(directory, time_scale=60 / SECONDS_A_MINUTE, bootstrapped=False):
        yield


@pytest.fixture
def account(_fast_local_aws: None) -> Account:
    return Account()


def test_an_alarm_fires_for_its_own_endpoint_and_returns_as_time_goes_by(account: Account) -> None:
    account.cloudwatch.put_metric_alarm(**account.definition("errors"))
    account.wait_for("errors", "OK")
    account.publish("errors", 100, endpoint="other")
    time.sleep(2.5 * SECONDS_A_MINUTE)
    assert account.history("errors") == ["OK"]

    account.publish("errors", 1)
    account.wait_for("errors", "ALARM")
    account.wait_for("errors", "OK")
    assert account.history("errors") == ["OK", "ALARM", "OK"]


def test_two_of_three_datapoints_make_an_alarm_and_one_does_not(account: Account) -> None:
    two_of_three = {"EvaluationPeriods": 3, "DatapointsToAlarm": 2}
    for name in ("one", "two"):
        account.cloudwatch.put_metric_alarm(**account.definition(name, **two_of_three))
    account.publish("one", 9, 0, 0)
    account.publish("two", 9, 0, 9)
    account.wait_for("two", "ALARM")
    account.wait_for("two", "OK")
    assert "ALARM" not in account.history("one")


@pytest.mark.parametrize(
    ("missing", "state"), [("breaching", "ALARM"), ("notBreaching", "OK"), ("missing", "INSUFFICIENT_DATA")]
)
def test_missing_data_are_what_the_alarm_says(account: Account, missing: str, state: str) -> None:
    account.cloudwatch.put_metric_alarm(**account.definition("heartbeat", Threshold=5, TreatMissingData=missing))
    account.publish("heartbeat", 1)
    account.wait_for("heartbeat", "OK")
    account.wait_for("heartbeat", state)


def test_missing_data_may_leave_the_state_as_it_is(account: Account) -> None:
    account.cloudwatch.put_metric_alarm(**account.definition("errors", TreatMissingData="ignore"))
    account.publish("errors", 1)
    account.wait_for("errors", "ALARM")
    time.sleep(5 * SECONDS_A_MINUTE)
    assert account.history("errors") == ["ALARM"]


def test_an_alarm_on_the_error_rate(account: Account) -> None:
    account.cloudwatch.put_metric_alarm(**account.rate("rate"))
    account.publish("calls", 100)
    account.publish("errors", 9)
    time.sleep(2 * SECONDS_A_MINUTE)
    assert "ALARM" not in account.history("rate")
    account.publish("calls", 100)
    account.publish("errors", 10)
    account.wait_for("rate", "ALARM")
    (alarm,) = account.cloudwatch.describe_alarms(AlarmNames=[account.name("rate")])["MetricAlarms"]
    assert [query["Id"] for query in alarm["Metrics"]] == ["errors", "calls", "rate"]
    assert "was greater than or equal to the threshold (10.0)" in alarm["StateReason"]


def test_what_the_local_aws_cannot_evaluate_is_refused(account: Account) -> None:
    anomaly = account.definition("anomaly", ComparisonOperator="GreaterThanUpperThreshold", ThresholdMetricId="band")
    with pytest.raises(ClientError, match="ThresholdMetricId is not supported by the local AWS") as refusal:
        account.cloudwatch.put_metric_alarm(**anomaly)
    assert refusal.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError, match="DatapointsToAlarm is 2: it must be from 1 to EvaluationPeriods"):
        account.cloudwatch.put_metric_alarm(**account.definition("errors", DatapointsToAlarm=2))


def test_a_stack_with_an_alarm_that_cannot_be_evaluated_fails_with_the_reason(account: Account) -> None:
    alarm = account.rate("rate")
    alarm["Metrics"][-1]["Expression"] = "ANOMALY_DETECTION_BAND(calls)"
    with pytest.raises(WaiterError):
        account.create_stack({"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm}})
    events = account.cloudformation.describe_stack_events(StackName=account.name("stack"))["StackEvents"]
    reasons = " ".join(event.get("ResourceStatusReason", "") for event in events)
    assert "ANOMALY_DETECTION_BAND is not supported here" in reasons


def test_a_composite_alarm_of_a_stack_tells_its_topic_once(account: Account) -> None:
    composite = {
        "AlarmName": account.name("composite"),
        "AlarmRule": {"Fn::Sub": 'ALARM("${Errors.Arn}") AND ALARM("${Rate.Arn}")'},
        "AlarmActions": [{"Ref": "Topic"}],
    }
    may_send = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": {"Fn::GetAtt": "Queue.Arn"},
    }
    policy = {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [may_send]}}
    subscription = {
        "TopicArn": {"Ref": "Topic"},
        "Protocol": "sqs",
        "Endpoint": {"Fn::GetAtt": "Queue.Arn"},
        "RawMessageDelivery": True,
    }
    queue = account.create_stack(
        {
            "Topic": {"Type": "AWS::SNS::Topic"},
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Policy": {"Type": "AWS::SQS::QueuePolicy", "Properties": policy},
            "Subscription": {"Type": "AWS::SNS::Subscription", "Properties": subscription},
            "Errors": {"Type": "AWS::CloudWatch::Alarm", "Properties": account.definition("errors")},
            "Rate": {"Type": "AWS::CloudWatch::Alarm", "Properties": account.rate("rate")},
            "Composite": {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": composite},
        },
        {"Queue": {"Value": {"Ref": "Queue"}}},
    )["Queue"]
    account.publish("errors", 20)
    account.publish("calls", 100)
    account.wait_for("composite", "ALARM")
    account.wait_for("composite", "OK")
    (message,) = account.messages(queue)
    assert (message["AlarmName"], message["NewStateValue"]) == (account.name("composite"), "ALARM")
    assert account.name("errors") in message["NewStateReason"] or account.name("rate") in message["NewStateReason"]

    account.cloudformation.delete_stack(StackName=account.name("stack"))
    account.cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=account.name("stack"), WaiterConfig={"Delay": 1}
    )
    left = account.cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    names = [alarm["AlarmName"] for alarm in left["MetricAlarms"] + left["CompositeAlarms"]]
    assert not [name for name in names if name.endswith(account.suffix)]


def test_eventbridge_hears_of_every_change(account: Account) -> None:
    queue = account.sqs.create_queue(QueueName=account.name("events"))["QueueUrl"]
    arn = account.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": [account.name("errors")]}}
    account.events.put_rule(Name=account.name("alarms"), EventPattern=json.dumps(pattern))
    account.events.put_targets(Rule=account.name("alarms"), Targets=[{"Id": "queue", "Arn": arn}])
    account.cloudwatch.put_metric_alarm(**account.definition("errors", TreatMissingData="ignore"))
    account.publish("errors", 1)
    (event,) = account.messages(queue)
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["detail"]["state"]["value"] == "ALARM"
    assert event["detail"]["previousState"]["value"] == "INSUFFICIENT_DATA"
