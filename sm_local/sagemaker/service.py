"""The SageMaker API of the local AWS: hosting and jobs by this package, records of everything else by moto."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sm_local.clock import Clock
from sm_local.patches import core, iam, sagemaker
from sm_local.sagemaker import runtime, validation
from sm_local.sagemaker.configs import EndpointConfigs
from sm_local.sagemaker.endpoints import Endpoints
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.jobs import program, transform
from sm_local.sagemaker.jobs.processing import processing_jobs
from sm_local.sagemaker.jobs.registry import Jobs
from sm_local.sagemaker.jobs.training import training_jobs
from sm_local.sagemaker.metrics import AlarmStates, MetricSink
from sm_local.sagemaker.models import Models
from sm_local.sagemaker.packages import ModelPackages
from sm_local.sagemaker.registry import Parameters
from sm_local.sagemaker.role import SERVICE
from sm_local.sagemaker.surroundings import Surroundings
from sm_local.sagemaker.tags import Tags
from sm_local.state import REGION, StateDirectory

_JSON = {"Content-Type": "application/x-amz-json-1.1"}
# Calls wait for models: they have threads of their own, and as many as serverless endpoints may have calls.
_MOST_CALLS = 256

Result = TypeVar("Result")


class SageMaker:
    """Answers SageMaker and SageMaker Runtime calls, after MiniStack has checked who may make them.

    Args:
        state: Where archives are unpacked and logs are kept.
        clock: The local AWS's time.
        metrics: Where endpoint metrics go.
        alarms: Watched during deployments.
    """

    def __init__(self, state: StateDirectory, *, clock: Clock, metrics: MetricSink, alarms: AlarmStates) -> None:
        packages = ModelPackages()
        self.models = Models(lambda name: packages.describe({"ModelPackageName": name}))
        self.configs = EndpointConfigs(self.models)
        surroundings = Surroundings(state=state, clock=clock, metrics=metrics, alarms=alarms, models=self.models)
        self.endpoints = Endpoints(self.configs, surroundings)
        components = self.endpoints.components
        self._tags = Tags()
        self._jobs: dict[str, Jobs[Any]] = {
            "Training": training_jobs(state, metrics, clock),
            "Processing": processing_jobs(state),
            "Transform": transform.transform_jobs(state, self.models, metrics, clock),
        }
        self._callers = ThreadPoolExecutor(_MOST_CALLS, thread_name_prefix="sagemaker-call")
        self._operations: dict[str, Callable[[Parameters], Parameters]] = {
            "CreateModel": self.models.create,
            "DescribeModel": self.models.describe,
            "DeleteModel": self.models.delete,
            "ListModels": self.models.list,
            "CreateEndpointConfig": self.configs.create,
            "DescribeEndpointConfig": self.configs.describe,
            "DeleteEndpointConfig": self.configs.delete,
            "ListEndpointConfigs": self.configs.list,
            "CreateEndpoint": self.endpoints.create,
            "UpdateEndpoint": self.endpoints.update,
            "UpdateEndpointWeightsAndCapacities": self.endpoints.update_weights_and_capacities,
            "DescribeEndpoint": self.endpoints.describe,
            "DeleteEndpoint": self.endpoints.delete,
            "ListEndpoints": self.endpoints.list,
            "CreateInferenceComponent": components.create,
            "UpdateInferenceComponent": components.update,
            "UpdateInferenceComponentRuntimeConfig": components.update_runtime,
            "DescribeInferenceComponent": components.describe,
            "DeleteInferenceComponent": components.delete,
            "ListInferenceComponents": components.list,
            "AddTags": self._tags.add,
            "DeleteTags": self._tags.delete,
            "ListTags": self._tags.list,
            "CreateModelPackageGroup": packages.create_group,
            "DescribeModelPackageGroup": packages.describe_group,
            "DeleteModelPackageGroup": packages.delete_group,
            "ListModelPackageGroups": packages.list_groups,
            "CreateModelPackage": packages.create,
            "DescribeModelPackage": packages.describe,
            "UpdateModelPackage": packages.update,
            "DeleteModelPackage": packages.delete,
            "ListModelPackages": packages.list,
        }
        for kind, jobs in self._jobs.items():
            self._operations |= {
                f"Create{kind}Job": jobs.create,
                f"Describe{kind}Job": jobs.describe,
                f"Stop{kind}Job": jobs.stop,
                f"List{kind}Jobs": jobs.list,
            }

    async def handle(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> core.Response:
        """Answer one request, in the form MiniStack wants of a service."""
        try:
            if method == "POST" and (endpoint := sagemaker.invoked_endpoint(path)) is not None:
                return await self._in_thread(lambda: runtime.answer(self.endpoints, endpoint, path, headers, body))
            operation = headers.get("x-amz-target", "").removeprefix("SageMaker.")
            parameters = json.loads(body or b"{}")
            if refusal := _refusal_beside(operation, parameters, body, headers, query):
                return refusal
            answer = await self._in_thread(lambda: self.call(operation, parameters))
            return 200, dict(_JSON), json.dumps(answer).encode()
        except SageMakerError as error:
            members = {"__type": error.code, "message": error.message, "Message": error.message, **error.details}
            return error.status, {**_JSON, "x-amzn-errortype": error.code}, json.dumps(members).encode()

    def call(self, operation: str, parameters: Parameters) -> Parameters:
        """Carry out one operation of the control plane.

        Raises:
            SageMakerError: SageMaker would refuse it, or the local AWS does not have it.
        """
        if own := self._operations.get(operation):
            validation.check(operation, parameters)
            answer = own(parameters)
            if operation.startswith("Create"):
                self._tags.keep(answer, parameters)
            return answer
        return _moto(operation, parameters)

    def shut_down(self) -> None:
        """Stop every model's and every job's process."""
        for jobs in self._jobs.values():
            jobs.shut_down()
        program.kill_all()
        transform.stop_all()
        self.endpoints.shut_down()
        self._callers.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._callers, lambda: context.run(work))


def _refusal_beside(
    operation: str, parameters: Parameters, body: bytes, headers: dict[str, str], query: dict[str, list[str]]
) -> core.Response | None:
    """Return the refusal of a caller who may not pass a role to SageMaker, or not tag what is made."""
    member = {"CreateModel": "ExecutionRoleArn"}.get(operation, "RoleArn")
    passes_role = operation == "CreateModel" or operation.endswith("Job")
    if passes_role and isinstance(role := parameters.get(member), str):
        context = {"iam:PassedToService": SERVICE}
        if refusal := iam.refusal_beside("iam:PassRole", role, headers, query, context):
            return refusal
    if operation.startswith("Create") and parameters.get("Tags"):
        resource = sagemaker.resource_arn("/", body, REGION, core.scope()[0])
        return iam.refusal_beside("sagemaker:AddTags", resource, headers, query)
    return None


def _moto(operation: str, parameters: Parameters) -> Parameters:
    """Let moto's SageMaker answer, in this process and without its network mocks; importing it takes a second."""
    from moto.core.exceptions import JsonRESTError
    from moto.core.request import Request
    from moto.sagemaker.responses import SageMakerResponse

    account, region = core.scope()
    url = f"https://api.sagemaker.{region}.amazonaws.com/"
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"SageMaker.{operation}",
        "X-Moto-Account-Id": account,
        "Authorization": f"AWS4-HMAC-SHA256 Credential=test/20260101/{region}/sagemaker/aws4_request",
    }
    request = Request.from_primitives("POST", url, headers, json.dumps(parameters))
    try:
        status, _headers, body = SageMakerResponse.dispatch(request, url, request.headers)
    except NotImplementedError:
        raise SageMakerError("UnknownOperationException", f"the local SageMaker does not have {operation}") from None
    except JsonRESTError as error:
        raise SageMakerError(error.error_type, error.message) from error
    answer: Parameters = json.loads(body or b"{}")
    if status >= 400:
        code = str(answer.get("__type", "ValidationException")).rsplit("#", 1)[-1]
        raise SageMakerError(code, str(answer.get("message", answer)), status=status)
    return answer
