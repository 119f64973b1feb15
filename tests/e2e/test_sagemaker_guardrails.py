"""Deployment guardrails in the local AWS, whose time passes sixty times as fast as usual."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from scipy.stats import binom

from tests.local_aws import running_local_aws
from tests.sagemaker_account import BROKEN, IMAGE, LOG, PULL, READ, Account, eventually

pytestmark = pytest.mark.e2e

SCALE = 60
CANARY = 0.1
WATCH = {"Action": "cloudwatch:DescribeAlarms"}
# One in a million test runs fails although the traffic is split as it should be.
UNLIKELY = 1e-6


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    directory = tmp_path_factory.mktemp("fast-local-aws")
    with running_local_aws(directory, time_scale=SCALE, bootstrapped=False):
        yield Account(boto3.Session())


@dataclass
class Caller:
    """Calls an endpoint without a pause."""

    account: Account
    endpoint: str
    calls: int = 0
    greetings: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.calls += 1
            try:
                self.greetings.append(self.account.invoke(self.endpoint)["greeting"])
            except Exception as error:  # whatever it is, the caller sees it
                self.failures.append(error)


@contextmanager
def callers(account: Account, endpoint: str, count: int = 4) -> Iterator[list[Caller]]:
    stop = threading.Event()
    some = [Caller(account, endpoint) for _ in range(count)]
    threads = [threading.Thread(target=caller.run, args=(stop,)) for caller in some]
    for thread in threads:
        thread.start()
    try:
        yield some
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def model(account: Account, inference: str | None = None, **environment: str) -> str:
    role = account.role(READ, PULL, LOG, WATCH)
    return account.model(inference, role, **environment) if inference else account.model(role=role, **environment)


def error_alarm(endpoint: str, config: str) -> str:
    """Make an alarm on the errors of one configuration's fleet."""
    name = f"errors-{uuid4().hex[:12]}"
    dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic", "EndpointConfigName": config}
    boto3.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    return name


def keep_in_alarm(account: Account, alarm: str, endpoint: str) -> None:
    """Put an alarm into ``ALARM`` until a deployment minds; its own evaluation, within a second, takes it out."""
    cloudwatch = boto3.client("cloudwatch")

    def noticed() -> bool:
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="to try it")
        return bool(account.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] != "Updating")

    eventually(noticed)


def deployment(kind: str, *alarms: str, wait: int = 600, last: int = 120, **size: Any) -> Any:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **size}
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": last}
    watched = {"Alarms": [{"AlarmName": alarm} for alarm in alarms]}
    return {"BlueGreenUpdatePolicy": policy, **({"AutoRollbackConfiguration": watched} if alarms else {})}


def canary(*alarms: str, **others: Any) -> Any:
    size = {"Type": "CAPACITY_PERCENT", "Value": int(CANARY * 100)}
    return deployment("CANARY", *alarms, CanarySize=size, **others)


def test_a_canary_that_raises_the_error_alarm_is_rolled_back_and_hurts_no_more_than_its_share(
    account: Account,
) -> None:
    endpoint = account.in_service(account.endpoint(model(account, GREETING="old")))
    broken = account.config(model(account, BROKEN))
    alarm = error_alarm(endpoint, broken)
    old = account.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]

    with callers(account, endpoint) as some:
        time.sleep(1)
        account.sagemaker.update_endpoint(
            EndpointName=endpoint, EndpointConfigName=broken, DeploymentConfig=canary(alarm)
        )
        eventually(lambda: any(caller.failures for caller in some))
        under_way = account.sagemaker.describe_endpoint(EndpointName=endpoint)
        description = account.wait(endpoint)
        settled = sum(len(caller.failures) for caller in some)
        time.sleep(1)

    assert under_way["EndpointStatus"] in ("Updating", "RollingBack")
    assert under_way["EndpointConfigName"] == old
    assert description["EndpointStatus"] == "InService"
    assert description["EndpointConfigName"] == old
    assert alarm in description["FailureReason"]
    assert sum(len(caller.failures) for caller in some) == settled, "calls fail although all is rolled back"
    for caller in some:
        assert caller.calls > 100
        assert set(caller.greetings) == {"old"}
        assert binom.sf(len(caller.failures) - 1, caller.calls, CANARY) > UNLIKELY, (
            f"{len(caller.failures)} of {caller.calls} calls failed, more than the canary's {CANARY:.0%}"
        )
    failed = [error for caller in some for error in caller.failures]
    assert all(isinstance(error, ClientError) and "always fails" in str(error) for error in failed)


def test_a_linear_deployment_shifts_in_steps_and_then_serves_the_new_model_alone(account: Account) -> None:
    endpoint = account.in_service(account.endpoint(model(account, GREETING="old")))
    new = account.config(model(account, GREETING="new"))
    steps = deployment("LINEAR", wait=300, last=0, LinearStepSize={"Type": "CAPACITY_PERCENT", "Value": 50})

    with callers(account, endpoint, 1) as (caller,):
        account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=new, DeploymentConfig=steps)
        stages: set[str] = set()

        def done() -> bool:
            description = account.sagemaker.describe_endpoint(EndpointName=endpoint)
            for variant in description.get("PendingDeploymentSummary", {}).get("ProductionVariants", ()):
                stages.update(status["Status"] for status in variant["VariantStatus"])
            return bool(description["EndpointStatus"] == "InService")

        eventually(done)

    assert {"Creating", "Baking"} <= stages
    assert not caller.failures
    half = caller.greetings[caller.greetings.index("new") : len(caller.greetings) - caller.greetings[::-1].index("old")]
    assert len(half) > 30
    assert UNLIKELY < binom.cdf(half.count("new"), len(half), 0.5) < 1 - UNLIKELY
    assert account.invoke(endpoint)["greeting"] == "new"
    described = account.sagemaker.describe_endpoint(EndpointName=endpoint)
    assert described["EndpointConfigName"] == new
    assert described["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == "LINEAR"
    assert "PendingDeploymentSummary" not in described


def test_an_alarm_while_the_new_fleet_bakes_alone_brings_the_old_one_back(account: Account) -> None:
    endpoint = account.in_service(account.endpoint(model(account, GREETING="old")))
    new = account.config(model(account, GREETING="new"))
    alarm = error_alarm(endpoint, new)
    all_at_once = deployment("ALL_AT_ONCE", alarm, last=1800)

    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=new, DeploymentConfig=all_at_once)
    eventually(lambda: account.invoke(endpoint)["greeting"] == "new")
    keep_in_alarm(account, alarm, endpoint)
    description = account.wait(endpoint)

    assert alarm in description["FailureReason"]
    assert account.invoke(endpoint)["greeting"] == "old"


def test_a_rolling_deployment_takes_over_in_batches(account: Account) -> None:
    old = account.config_of(account.variant(model(account, GREETING="old"), InitialInstanceCount=4))
    new = account.config_of(account.variant(model(account, GREETING="new"), InitialInstanceCount=4))
    endpoint = account.in_service(account.endpoint_of(old))
    batch = {"Type": "INSTANCE_COUNT", "Value": 2}
    rolling: Any = {"RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 60}}

    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=new, DeploymentConfig=rolling)
    eventually(lambda: account.invoke(endpoint)["greeting"] == "new")

    assert account.wait(endpoint)["EndpointConfigName"] == new
    assert {account.invoke(endpoint)["greeting"] for _ in range(10)} == {"new"}


def test_a_deployment_that_takes_too_long_is_rolled_back(account: Account) -> None:
    endpoint = account.in_service(account.endpoint(model(account, GREETING="old")))
    slow = canary(wait=3600)
    slow["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = 600

    account.sagemaker.update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName=account.config(model(account, GREETING="new")),
        DeploymentConfig=slow,
    )
    description = account.wait(endpoint)

    assert "MaximumExecutionTimeoutInSeconds" in description["FailureReason"]
    assert account.invoke(endpoint)["greeting"] == "old"


def test_the_execution_role_must_be_allowed_to_look_at_the_alarms(account: Account) -> None:
    endpoint = account.in_service(account.endpoint(account.model()))
    blind = account.config(account.model())
    alarm = error_alarm(endpoint, blind)

    with pytest.raises(ClientError, match="lacks cloudwatch:DescribeAlarms"):
        account.sagemaker.update_endpoint(
            EndpointName=endpoint, EndpointConfigName=blind, DeploymentConfig=canary(alarm)
        )
    assert account.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "InService"


@pytest.mark.parametrize(
    ("excluded", "weight", "count"),
    [([], 3.0, 2), (["DesiredWeight"], 1.0, 2), (["DesiredInstanceCount"], 3.0, 1)],
)
def test_variant_properties_are_retained_unless_excluded(
    account: Account, excluded: list[str], weight: float, count: int
) -> None:
    endpoint = account.in_service(account.endpoint(account.model()))
    changed: Any = [{"VariantName": "AllTraffic", "DesiredWeight": 3.0, "DesiredInstanceCount": 2}]
    account.sagemaker.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=changed)
    account.in_service(endpoint)

    account.sagemaker.update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName=account.config(account.model()),
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": kind} for kind in excluded],
    )
    (variant,) = account.wait(endpoint)["ProductionVariants"]

    assert (variant["DesiredWeight"], variant["CurrentInstanceCount"]) == (weight, count)


def template(role: str, archive: str, alarm: str) -> str:
    """Return a CloudFormation template of an endpoint that deploys by canary."""
    container = {"Image": IMAGE, "ModelDataUrl": archive}
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": {"Ref": "Instances"},
        "InitialVariantWeight": 1,
    }
    resources = {
        "Model": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {"ExecutionRoleArn": role, "PrimaryContainer": container},
        },
        "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [variant]}},
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {
                "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
                "DeploymentConfig": canary(alarm, wait=120, last=60),
            },
        },
    }
    return json.dumps(
        {
            "Parameters": {"Instances": {"Type": "Number", "Default": 1}},
            "Resources": resources,
            "Outputs": {"EndpointName": {"Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}}},
        }
    )


def test_cloudformation_waits_for_the_deployment_and_rolls_back_with_it(account: Account) -> None:
    cloudformation = boto3.client("cloudformation")
    name = f"stack-{uuid4().hex[:12]}"
    role = account.role(READ, PULL, LOG, WATCH)
    good = account.archive('def model_fn(d): return 1\ndef transform_fn(m, b, c, a): return \'{"greeting": "old"}\'')
    alarm = f"any-{uuid4().hex[:12]}"

    def settled() -> str | None:
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack["StackStatus"]

    cloudformation.create_stack(StackName=name, TemplateBody=template(role, good, alarm))
    assert eventually(settled) == "CREATE_COMPLETE"
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    endpoint = stack["Outputs"][0]["OutputValue"]
    boto3.client("cloudwatch").put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "AllTraffic"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )

    with callers(account, endpoint, 1) as (caller,):
        cloudformation.update_stack(StackName=name, TemplateBody=template(role, account.archive(BROKEN), alarm))
        assert eventually(settled) == "UPDATE_ROLLBACK_COMPLETE"

    reasons = [
        event.get("ResourceStatusReason", "")
        for event in cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    ]
    assert any(alarm in reason for reason in reasons)
    assert caller.failures
    assert account.invoke(endpoint)["greeting"] == "old"
    cloudformation.delete_stack(StackName=name)
