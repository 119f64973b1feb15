"""State machines in the local AWS: what their tasks do, and what their roles must be allowed."""

from __future__ import annotations

import io
import json
import os
import signal
import time
import zipfile
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local_aws import LocalAws
from tests.sagemaker_account import IMAGE, LOG, PULL, READ, eventually
from tests.sagemaker_jobs import (
    PASS,
    RULES,
    TAG,
    TRAIN,
    WRITE,
    Jobs,
    pids_of,
    task,
)

pytestmark = pytest.mark.e2e

MIME = ["application/json"]
FAILING = """
import sys
print("validation:macro_f1=0.5")
raise ValueError("there are no labels in the data")
"""


@pytest.fixture(scope="module")
def account(session: boto3.Session) -> Jobs:
    return Jobs(session)


def invoked(function: str, **others: Any) -> dict[str, Any]:
    return task("lambda:invoke", {"FunctionName": function, "Payload": "{% $states.input %}"}, **others)


@pytest.fixture(scope="module")
def function(account: Jobs) -> str:
    """Return the ARN of a function that checks a row, and refuses one without a label by an exception of its own."""
    code = """
class DatasetError(ValueError):
    pass
def handler(event, context):
    if "label" not in event["row"]:
        raise DatasetError("row 3: no label")
    return event["row"]["label"]
"""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("check.py", code)
    answer = account.session.client("lambda").create_function(
        FunctionName=f"check-{uuid4().hex[:12]}",
        Runtime="python3.12",
        Handler="check.handler",
        Role=account.role(service="lambda.amazonaws.com"),
        Code={"ZipFile": buffer.getvalue()},
    )
    return str(answer["FunctionArn"])


@pytest.mark.parametrize(
    ("left", "missing"),
    [
        ((TAG, PASS, RULES), "sagemaker:CreateTrainingJob"),
        ((TRAIN, PASS, RULES), "sagemaker:AddTags"),
        ((TRAIN, TAG, RULES), "iam:PassRole"),
        ((TRAIN, TAG, PASS), "not authorized to create managed-rule"),
        (({"Action": "sagemaker:CreateTrainingJob"}, TAG, PASS, RULES), "sagemaker:DescribeTrainingJob"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_task_fails_for_what_the_state_machines_role_may_not(account: Jobs, left: Any, missing: str) -> None:
    execution = account.run({"Train": task("sagemaker:createTrainingJob.sync", account.training(FAILING))}, *left)

    assert execution["status"] == "FAILED"
    assert missing in execution["cause"]


def test_a_job_is_stopped_with_its_execution(account: Jobs) -> None:
    request = account.training("import time\ntime.sleep(60)")
    arn = account.start({"Train": task("sagemaker:createTrainingJob.sync", request)}, TRAIN, TAG, PASS, RULES)
    named = {"TrainingJobName": request["TrainingJobName"]}

    def trains() -> bool:
        try:
            return bool(account.sagemaker.describe_training_job(**named)["SecondaryStatus"] == "Training")
        except ClientError:
            return False

    eventually(trains)
    account.session.client("stepfunctions").stop_execution(executionArn=arn, cause="changed my mind")

    assert account.trained(request["TrainingJobName"])["SecondaryStatus"] == "Stopped"
    execution = account.session.client("stepfunctions").describe_execution(executionArn=arn)
    assert (execution["status"], execution["cause"]) == ("ABORTED", "changed my mind")


def test_a_state_machine_calls_aws_with_its_role(account: Jobs) -> None:
    group, key = f"group-{uuid4().hex[:12]}", f"parameters/{uuid4().hex[:12]}"
    account.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    package = {"Containers": [{"Image": IMAGE}], "SupportedContentTypes": MIME, "SupportedResponseMIMETypes": MIME}
    states = {
        "Register": task(
            "aws-sdk:sagemaker:createModelPackage",
            {
                "ModelPackageGroupName": group,
                "InferenceSpecification": package,
                "CustomerMetadataProperties": {"data_set": "abc"},
            },
            Next="Describe",
        ),
        "Describe": task(
            "aws-sdk:sagemaker:describeModelPackage",
            {"ModelPackageName": "{% $states.input.ModelPackageArn %}"},
            Assign={"package": "{% $states.result %}"},
            Next="Remember",
        ),
        "Remember": task(
            "aws-sdk:ssm:putParameter",
            {"Name": f"/{key}", "Value": "{% $package.ModelPackageArn %}", "Type": "String", "Overwrite": True},
            Next="Recall",
        ),
        "Recall": task("aws-sdk:ssm:getParameter", {"Name": f"/{key}"}, Next="Write"),
        "Write": task(
            "aws-sdk:s3:putObject",
            {"Bucket": account.bucket, "Key": key, "Body": {"value": "{% $states.input.Parameter.Value %}"}},
            Next="Read",
        ),
        "Read": task(
            "aws-sdk:s3:getObject",
            {"Bucket": account.bucket, "Key": key},
            Output="{% {'body': $parse($states.result.Body), 'package': $package} %}",
        ),
    }
    for name in list(states)[:-1]:
        del states[name]["End"]
    register = {"Action": ["sagemaker:CreateModelPackage", "sagemaker:DescribeModelPackage"]}
    remember = {
        "Action": ["ssm:PutParameter", "ssm:GetParameter"],
        "Resource": f"arn:aws:ssm:us-east-1:000000000000:parameter/{key}",
    }

    execution = account.run(states, register, remember, READ, WRITE)

    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    output = json.loads(execution["output"])
    assert output["body"]["value"] == output["package"]["ModelPackageArn"]
    assert output["package"]["ModelPackageVersion"] == 1
    assert output["package"]["CustomerMetadataProperties"] == {"data_set": "abc"}
    assert output["package"]["CreationTime"].endswith("Z")
    for allowed, error, missing in (
        ((remember, READ, WRITE), "SageMaker.SageMakerException", "sagemaker:CreateModelPackage"),
        ((register, READ, WRITE), "Ssm.SsmException", "ssm:PutParameter"),
        ((register, remember, READ), "S3.S3Exception", "s3:PutObject"),
    ):
        refused = account.run(states, *allowed)
        assert (refused["status"], refused["error"]) == ("FAILED", error)
        assert missing in refused["cause"]


def test_a_state_machine_makes_an_endpoint(account: Jobs) -> None:
    name = f"made-{uuid4().hex[:12]}"
    container = account.container(GREETING="made by a state machine")
    variant = account.variant(name)
    states = {
        "Model": task(
            "sagemaker:createModel",
            {
                "ModelName": name,
                "PrimaryContainer": container,
                "ExecutionRoleArn": account.role(READ, PULL, LOG),
            },
            Next="Config",
        ),
        "Config": task(
            "sagemaker:createEndpointConfig",
            {"EndpointConfigName": name, "ProductionVariants": [variant]},
            Next="Endpoint",
        ),
        "Endpoint": task("sagemaker:createEndpoint", {"EndpointName": name, "EndpointConfigName": name}),
    }
    for state in ("Model", "Config"):
        del states[state]["End"]
    create = {"Action": ["sagemaker:CreateModel", "sagemaker:CreateEndpointConfig", "sagemaker:CreateEndpoint"]}

    execution = account.run(states, create, PASS)

    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert json.loads(execution["output"])["EndpointArn"].endswith(f":endpoint/{name}")
    account.wait(name)
    assert account.invoke(name)["greeting"] == "made by a state machine"
    again = account.run(states, create, PASS)
    assert (again["status"], again["error"]) == ("FAILED", "SageMaker.AmazonSageMakerException")
    assert "Cannot create already existing model" in again["cause"]
    refused = account.run({"Endpoint": states["Endpoint"]}, {"Action": "sagemaker:CreateModel"})
    assert "sagemaker:CreateEndpoint" in refused["cause"]


def test_a_functions_exception_is_caught_by_its_name(account: Jobs, function: str) -> None:
    caught = {"ErrorEquals": ["DatasetError"], "Output": "{% $states.errorOutput %}", "Next": "Explain"}
    states = {"Check": invoked(function, Catch=[caught]), "Explain": {"Type": "Pass", "End": True}}

    execution = account.run(states, {"Action": "lambda:InvokeFunction", "Resource": function}, input='{"row": {}}')

    output = json.loads(execution["output"])
    assert output["Error"] == "DatasetError"
    assert json.loads(output["Cause"])["errorMessage"] == "row 3: no label"


def test_a_state_machine_invokes_only_functions_that_its_role_may(account: Jobs, function: str) -> None:
    execution = account.run({"Check": invoked(function)}, {"Action": "lambda:InvokeFunction", "Resource": "arn:other"})
    assert (execution["status"], execution["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert f"lambda:InvokeFunction on resource: {function}" in execution["cause"]


def test_a_distributed_map_reads_its_parts_and_writes_its_results_with_the_role(account: Jobs, function: str) -> None:
    prefix = uuid4().hex
    account.put(f"{prefix}/parts.json", json.dumps([{"label": "good"}, {"label": "bad"}]))
    states = {
        "Parts": {
            "Type": "Map",
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSON"},
                "Arguments": {"Bucket": account.bucket, "Key": "{% $states.input.parts %}"},
            },
            "ItemSelector": {"row": "{% $states.context.Map.Item.Value %}"},
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Check",
                "States": {"Check": invoked(function, Output="{% $states.result.Payload %}")},
            },
            "End": True,
        }
    }
    written = {"Bucket": account.bucket, "Prefix": f"{prefix}/results"}
    writing = {"Resource": "arn:aws:states:::s3:putObject", "Arguments": written}
    given = {"input": json.dumps({"parts": f"{prefix}/parts.json"})}
    invoke, start = {"Action": "lambda:InvokeFunction"}, {"Action": "states:StartExecution"}

    execution = account.run(states, invoke, start, READ, **given)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert json.loads(execution["output"]) == ["good", "bad"]

    states["Parts"]["ResultWriter"] = writing
    execution = account.run(states, invoke, start, READ, WRITE, **given)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    details = json.loads(execution["output"])["ResultWriterDetails"]
    manifest = json.load(account.s3.get_object(Bucket=details["Bucket"], Key=details["Key"])["Body"])
    (file,) = manifest["ResultFiles"]["SUCCEEDED"]
    rows = json.load(account.s3.get_object(Bucket=details["Bucket"], Key=file["Key"])["Body"])
    assert [json.loads(row["Output"]) for row in rows] == ["good", "bad"]

    for left, missing in (
        ((invoke, READ, WRITE), "states:StartExecution"),
        ((invoke, start, WRITE), "s3:GetObject"),
        ((invoke, start, READ), "s3:PutObject"),
    ):
        refused = account.run(states, *left, **given)
        assert refused["status"] == "FAILED"
        assert missing in refused["cause"]


def test_an_approval_is_asked_for_by_a_topic_and_given_by_its_token(account: Jobs) -> None:
    sns, sqs, states = (account.session.client(name) for name in ("sns", "sqs", "stepfunctions"))
    name = f"approval-{uuid4().hex[:12]}"
    topic = sns.create_topic(Name=name)["TopicArn"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    may = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    ask = task(
        "sns:publish.waitForTaskToken",
        {"TopicArn": topic, "Message": "{% $string({'token': $states.context.Task.Token}) %}"},
        TimeoutSeconds=60,
    )
    publish = {"Action": "sns:Publish", "Resource": topic}
    inner = states.create_state_machine(
        name=name,
        definition=json.dumps({"QueryLanguage": "JSONata", "StartAt": "Ask", "States": {"Ask": ask}}),
        roleArn=account.role(publish, service="states.amazonaws.com"),
    )["stateMachineArn"]
    executions = inner.replace(":stateMachine:", ":execution:") + ":*"
    start = {
        "Action": [f"states:{action}Execution" for action in ("Start", "Describe", "Stop")],
        "Resource": [inner, executions],
    }
    nested = task("states:startExecution.sync:2", {"StateMachineArn": inner, "Input": {}})
    arn = account.start({"Nested": nested}, start, RULES)

    (message,) = eventually(lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"))
    states.send_task_success(taskToken=json.loads(message["Body"])["token"], output='{"approved": true}')

    def ended() -> Any:
        found = states.describe_execution(executionArn=arn)
        return found if found["status"] != "RUNNING" else None

    execution = eventually(ended)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert json.loads(execution["output"])["Output"] == {"approved": True}
    assert "sns:Publish" in account.run({"Ask": ask}, start)["cause"]


def test_trials_run_in_parallel_and_one_that_is_killed_does_not_fail_the_others(
    account: Jobs, local_aws: LocalAws
) -> None:
    script = """
import os, sys, time
time.sleep(60 if sys.argv[2] == "2" else 2)
print(f"validation:macro_f1=0.{sys.argv[2]}")
"""
    requests = [account.training(script) for _ in range(3)]
    for number, request in enumerate(requests, start=1):
        request["HyperParameters"]["trial"] = str(number)
    caught = {
        "ErrorEquals": ["States.ALL"],
        "Output": {"trial": "{% $states.input %}", "error": "{% $states.errorOutput %}"},
        "Next": "Failed",
    }
    train = task(
        "sagemaker:createTrainingJob.sync",
        "{% $states.input %}",
        Output={"trial": "{% $states.input %}", "job": "{% $states.result %}"},
        Catch=[caught],
    )
    iteration = {"Train": train, "Failed": {"Type": "Pass", "End": True}}
    states = {
        "Trials": {
            "Type": "Map",
            "Items": "{% $states.input %}",
            "MaxConcurrency": 3,
            "ItemProcessor": {"StartAt": "Train", "States": iteration},
            "End": True,
        }
    }
    arn = account.start(states, TRAIN, TAG, PASS, RULES, input=json.dumps(requests))
    directory = local_aws.state.jobs / "training" / requests[1]["TrainingJobName"]
    (pid,) = eventually(lambda: list(pids_of(directory)))
    time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)
    client = account.session.client("stepfunctions")

    def ended() -> Any:
        found = client.describe_execution(executionArn=arn)
        return found if found["status"] != "RUNNING" else None

    execution = eventually(ended)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    first, second, third = json.loads(execution["output"])
    scores = [trial["job"]["FinalMetricDataList"][0]["Value"] for trial in (first, third)]
    assert scores == [0.1, 0.3]
    assert json.loads(second["error"]["Cause"])["FailureReason"].endswith("exit code: 137")
    began, took = (
        max(trial["job"]["TrainingStartTime"] for trial in (first, third)),
        min(trial["job"]["TrainingEndTime"] for trial in (first, third)),
    )
    assert began < took, "they ran one after the other"
