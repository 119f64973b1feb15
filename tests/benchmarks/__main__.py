"""Print what matters for speed, each beside what it is compared with, measured in one run.

``make bench`` runs it. Trust the ratios: milliseconds depend on the machine. The results of a run on two cores stand
in docs/benchmarks.md.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
from rich.console import Console
from rich.table import Table

from sm_client import Client
from sm_client._transport import Retries
from sm_client.client import stack_outputs
from sm_local.cdk import tool_environment
from tests.local_aws import ROOT, running_local_aws

MODEL = ROOT / ".build" / "model"
TEXTS = ["物流很快，包装也很好，下次还会再来", "Please find attached the minutes of our last meeting"]
IN_PROCESS = "input_fn, predict_fn, output_fn in this process"
CALLS = 300
_PAUSE_SECONDS = 0.05  # stage dev takes 20 requests a second
COLD_STARTS = 5
SYNTHS = 5

SINGLE_BUCKET_APP = """
import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
app = cdk.App(analytics_reporting=False)
s3.Bucket(cdk.Stack(app, "Stack"), "Bucket")
app.synth()
"""

ENDPOINTS_APP = """
import sys
from pathlib import Path
import aws_cdk as cdk
from sm_constructs import Endpoint, Framework, Model, ModelData, RealTime
app = cdk.App(analytics_reporting=False)
stack = cdk.Stack(app, "Stack")
data = ModelData.from_directory(Path("docs/examples/model"))
for number in range(int(sys.argv[1])):
    model = Model(stack, f"Model{number}", data=data, framework=Framework.scikit_learn())
    variant = RealTime(instance_type="ml.m5.large", instance_count=2)
    endpoint = Endpoint(stack, f"Endpoint{number}", model=model, variant=variant)
    instances = endpoint.auto_scale_instance_count(min_capacity=2, max_capacity=4)
    instances.scale_on_invocations("Calls", target_invocations_per_minute=600)
app.synth()
"""

console = Console(width=110)


def main() -> None:
    """Measure and print the three tables."""
    if not (MODEL / "metadata.json").is_file():
        sys.exit(f"There is no trained model in {MODEL}: run `make model`.")
    console.print(synth_table())
    with _deployed() as stack:
        console.print(call_table(stack))
        console.print(cold_start_table(stack))


def synth_table() -> Table:
    """Synthesize each app by turns; validation is off, as it costs all the same."""
    table = _table("Synth, without validation", "CPU s (median)", "times the bucket's")
    context = json.loads((ROOT / "cdk.json").read_text())["context"] | {"model": str(MODEL)}
    apps = {
        "an app with a single bucket": ["-c", SINGLE_BUCKET_APP],
        "an app with one model and endpoint": ["-c", ENDPOINTS_APP, "1"],
        "an app with twenty models and endpoints": ["-c", ENDPOINTS_APP, "20"],
        "the full stack": [str(ROOT / "app.py")],
    }
    seconds: dict[str, list[float]] = {name: [] for name in apps}
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(SYNTHS):
            for name, arguments in apps.items():
                environment = {
                    **tool_environment(os.environ),
                    "CDK_OUTDIR": str(Path(directory) / name),
                    "CDK_CONTEXT_JSON": json.dumps(context),
                    "CDK_VALIDATION": "false",
                }
                seconds[name].append(_cpu_seconds([sys.executable, *arguments], environment))
    base = _quantile(seconds["an app with a single bucket"], 0.5)
    for name, values in seconds.items():
        median = _quantile(values, 0.5)
        table.add_row(name, f"{median:.2f}", f"{median / base:.2f}")
    return table


def call_table(stack: dict[str, str]) -> Table:
    """Classify the same two texts in process, at the endpoint and through the API, by turns."""
    sys.path.insert(0, str(MODEL / "code"))
    import inference

    model = inference.model_fn(str(MODEL))
    body = json.dumps({"texts": TEXTS}, ensure_ascii=False)
    runtime, client = boto3.client("sagemaker-runtime"), Client(stack["ApiUrl"], retries=Retries(attempts=1))

    def in_process() -> None:
        data = inference.input_fn(body, "application/json")
        inference.output_fn(inference.predict_fn(data, model), "application/json")

    def endpoint() -> None:
        runtime.invoke_endpoint(EndpointName=stack["EndpointName"], Body=body.encode(), ContentType="application/json")[
            "Body"
        ].read()

    ways: dict[str, Callable[[], object]] = {
        IN_PROCESS: in_process,
        "InvokeEndpoint": endpoint,
        "POST /v1/classifications": lambda: client.classify(TEXTS),
    }
    milliseconds: dict[str, list[float]] = {name: [] for name in ways}
    for call in ways.values():
        call()
    for _ in range(CALLS):
        time.sleep(_PAUSE_SECONDS)
        for name, call in ways.items():
            milliseconds[name].append(_milliseconds(call))
    table = _table(f"Two texts, {CALLS} calls each, one at a time", "p50 ms", "p99 ms", "p50, times in process")
    base = _quantile(milliseconds[IN_PROCESS], 0.5)
    for name, values in milliseconds.items():
        median = _quantile(values, 0.5)
        table.add_row(name, f"{median:.1f}", f"{_quantile(values, 0.99):.1f}", f"{median / base:.1f}")
    return table


def cold_start_table(stack: dict[str, str]) -> Table:
    """Call the functions and an empty one, each time in a new process."""
    lambda_ = boto3.client("lambda")
    classify = stack["ClassifyFunctionName"]
    empty = _create_empty_function(like=classify)
    # Refused by the handler itself, so that no endpoint is waited for.
    refused = json.loads((ROOT / "tests/events/classify.json").read_text()) | {"body": "{}"}
    functions: dict[str, tuple[str, object]] = {
        "an empty handler": (empty, {}),
        "the classify function": (classify, refused),
        "the function for English, with its first text": (_function("PreprocessorEn"), {"texts": ["good"]}),
        "the function for Chinese, with its first text": (_function("PreprocessorZh"), {"texts": ["很好"]}),
    }
    milliseconds: dict[str, list[float]] = {name: [] for name in functions}
    for round_ in range(COLD_STARTS):
        for name, (function, event) in functions.items():
            _start_anew(function, round_)
            milliseconds[name].append(
                _milliseconds(lambda: lambda_.invoke(FunctionName=function, Payload=json.dumps(event)))  # noqa: B023
            )
    table = _table(f"Cold start of a function, {COLD_STARTS} each", "ms (median)", "times the empty one's")
    base = _quantile(milliseconds["an empty handler"], 0.5)
    for name, values in milliseconds.items():
        median = _quantile(values, 0.5)
        table.add_row(name, f"{median:.0f}", f"{median / base:.1f}")
    return table


@contextmanager
def _deployed() -> Iterator[dict[str, str]]:
    """Deploy stage dev with the trained model to a local AWS of its own, and yield the stack's outputs."""
    console.print("Deploying the stack …")
    with tempfile.TemporaryDirectory() as directory, running_local_aws(Path(directory)) as aws:
        deployment = aws.deploy(MODEL)
        if deployment.returncode:
            sys.exit(deployment.stdout)
        yield stack_outputs("TextClassification-dev")


def _create_empty_function(*, like: str) -> str:
    """Create a function that does nothing, with the role and the settings of another one."""
    import io
    import zipfile

    lambda_ = boto3.client("lambda")
    settings = lambda_.get_function_configuration(FunctionName=like)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("empty.py", "def handler(event, context):\n    return {}\n")
    lambda_.create_function(
        FunctionName="empty",
        Code={"ZipFile": code.getvalue()},
        Handler="empty.handler",
        MemorySize=settings["MemorySize"],
        Role=settings["Role"],
        Runtime=settings["Runtime"],
    )
    return "empty"


def _function(part: str) -> str:
    """Return the name of the deployed function that has a construct's ids in its logical id."""
    pages = (
        boto3.client("cloudformation")
        .get_paginator("list_stack_resources")
        .paginate(StackName="TextClassification-dev")
    )
    name: str
    (name,) = (
        each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == "AWS::Lambda::Function" and part in each["LogicalResourceId"]
    )
    return name


def _start_anew(function: str, round_: int) -> None:
    """Change a function's environment, so that its next call starts a process."""
    lambda_ = boto3.client("lambda")
    variables = lambda_.get_function_configuration(FunctionName=function).get("Environment", {}).get("Variables", {})
    lambda_.update_function_configuration(
        FunctionName=function, Environment={"Variables": {**variables, "BENCHMARK_ROUND": str(round_)}}
    )


def _cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table


if __name__ == "__main__":
    main()
