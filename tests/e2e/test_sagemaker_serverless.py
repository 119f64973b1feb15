"""Serverless endpoints of the local SageMaker, whose time passes sixty times as fast as usual."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.local_aws import running_local_aws
from tests.sagemaker_account import ECHO, Account, eventually, metric

pytestmark = pytest.mark.e2e

# Ten idle minutes last ten seconds, and a call waits a second for a cold start.
SCALE = 60
SLOW = "import time\ntime.sleep(3)\n" + ECHO


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    directory = tmp_path_factory.mktemp("fast-local-aws")
    with running_local_aws(directory, time_scale=SCALE, bootstrapped=False):
        account = Account(boto3.Session())
        # The errors are what is tested: nothing shall be repeated.
        once = Config(retries={"mode": "standard", "total_max_attempts": 1}, max_pool_connections=50)
        account.runtime = boto3.client("sagemaker-runtime", config=once)
        yield account


def serverless(account: Account, inference: str = ECHO, **settings: int) -> str:
    config: Any = {"MemorySizeInMB": 1024, "MaxConcurrency": 5, **settings}
    return account.in_service(
        account.endpoint_of(account.config_of(account.variant(account.model(inference), ServerlessConfig=config)))
    )


def dimensions(endpoint: str) -> dict[str, str]:
    return {"EndpointName": endpoint, "VariantName": "AllTraffic"}


def processes(endpoint: str) -> int:
    mine = [one for one in psutil.process_iter(["cwd"]) if endpoint in (one.info["cwd"] or "")]
    return len(mine)


def until_ready(account: Account, endpoint: str) -> Any:
    """Call again as long as the model is not ready, as clients do."""

    def answer() -> Any:
        try:
            return account.invoke(endpoint)
        except account.runtime.exceptions.ModelNotReadyException:
            return None

    return eventually(answer)


def test_an_idle_endpoint_is_stopped_and_the_next_call_starts_it_again(account: Account) -> None:
    endpoint = serverless(account)
    assert account.invoke(endpoint)["greeting"] == "hello"
    assert processes(endpoint) > 0
    assert metric("ModelSetupTime", dimensions(endpoint)) == 0

    eventually(lambda: processes(endpoint) == 0)
    assert account.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "InService"

    assert until_ready(account, endpoint)["greeting"] == "hello"
    assert processes(endpoint) > 0
    assert metric("ModelSetupTime", dimensions(endpoint)) > 0
    assert metric("OverheadLatency", dimensions(endpoint), "Maximum") > 0


def test_calls_keep_an_endpoint_warm(account: Account) -> None:
    endpoint = serverless(account)
    until = time.monotonic() + 15
    while time.monotonic() < until:
        account.invoke(endpoint)
        time.sleep(1)
    assert metric("ModelSetupTime", dimensions(endpoint)) == 0


def test_a_cold_start_that_takes_too_long_is_not_ready_and_goes_on(account: Account) -> None:
    endpoint = serverless(account, SLOW)
    eventually(lambda: processes(endpoint) == 0)

    with pytest.raises(ClientError) as caught:
        account.invoke(endpoint)

    assert caught.value.response["Error"]["Code"] == "ModelNotReadyException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert until_ready(account, endpoint)["greeting"] == "hello"


def test_calls_above_the_maximum_concurrency_are_throttled(account: Account) -> None:
    endpoint = serverless(account, MaxConcurrency=2)
    together = threading.Barrier(4)

    def call() -> str:
        together.wait()
        try:
            account.invoke(endpoint, sleep=1)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "answered"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(future.result() for future in [pool.submit(call) for _ in range(4)])

    assert outcomes == ["ThrottlingException"] * 2 + ["answered"] * 2
    assert metric("ServerlessConcurrentExecutionsUtilization", dimensions(endpoint), "Maximum") == 1
    assert metric("Invocations", dimensions(endpoint)) == 2


def test_provisioned_concurrency_stays_warm_and_tells_what_spills_over(account: Account) -> None:
    endpoint = serverless(account, ProvisionedConcurrency=1)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: account.invoke(endpoint, sleep=0.5), range(2)))
    assert metric("ServerlessProvisionedConcurrencyInvocations", dimensions(endpoint)) == 1
    assert metric("ServerlessProvisionedConcurrencySpilloverInvocations", dimensions(endpoint)) == 1

    time.sleep(15)

    assert processes(endpoint) > 0
    assert account.invoke(endpoint)["greeting"] == "hello"


def test_provisioned_concurrency_is_changed_without_a_deployment(account: Account) -> None:
    endpoint = serverless(account)
    change: Any = {"VariantName": "AllTraffic", "ServerlessUpdateConfig": {"MaxConcurrency": 7}}
    account.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=[change]
    )
    (variant,) = account.wait(endpoint)["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 1024, "MaxConcurrency": 7}


def test_an_endpoint_on_instances_cannot_become_serverless(account: Account) -> None:
    endpoint = account.in_service(account.endpoint(account.model()))
    config: Any = {"MemorySizeInMB": 1024, "MaxConcurrency": 5}
    with pytest.raises(ClientError, match="to a serverless one"):
        account.sagemaker.update_endpoint(
            EndpointName=endpoint,
            EndpointConfigName=account.config_of(account.variant(account.model(), ServerlessConfig=config)),
        )


def test_a_payload_above_four_megabytes_is_refused(account: Account) -> None:
    endpoint = serverless(account)
    with pytest.raises(ClientError, match="exceeds the limit of 4194304 bytes"):
        account.invoke(endpoint, text="x" * 4_194_304)
