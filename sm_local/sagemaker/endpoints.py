"""Endpoint configurations and endpoints, with the life cycle that they have on AWS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sm_local import patches
from sm_local.sagemaker.aws import AssumedRole
from sm_local.sagemaker.errors import SageMakerError, not_found
from sm_local.sagemaker.hosting import Answer, Container, ModelServer
from sm_local.state import StateDirectory

Parameters = dict[str, Any]
Key = tuple[str, str, str]  # account, region, name

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html
_REAL_TIME_PAYLOAD_BYTES = 6_291_456
_SERVERLESS_PAYLOAD_BYTES = 4_194_304


@dataclass(kw_only=True)
class _Config:
    parameters: Parameters
    arn: str
    created: float


@dataclass(kw_only=True, eq=False)
class _Endpoint:
    arn: str
    config_name: str
    status: str
    created: float
    modified: float
    tags: list[dict[str, str]]
    failure_reason: str | None = None
    server: ModelServer | None = None
    variant: Parameters = field(default_factory=dict)
    replicas: int = 0


class Endpoints:
    """All endpoint configurations and endpoints of the local AWS.

    Args:
        state: Where archives are unpacked and logs are kept.
        describe_model: Answers ``DescribeModel``.
    """

    def __init__(self, state: StateDirectory, describe_model: Callable[[str], Parameters]) -> None:
        self._state = state
        self._describe_model = describe_model
        self._configs: dict[Key, _Config] = {}
        self._endpoints: dict[Key, _Endpoint] = {}
        self._lock = threading.RLock()
        self._starters = ThreadPoolExecutor(thread_name_prefix="sagemaker-hosting")

    # --- endpoint configurations ---

    def create_endpoint_config(self, parameters: Parameters) -> Parameters:
        name = parameters["EndpointConfigName"]
        variants = parameters.get("ProductionVariants") or []
        if len(variants) != 1:
            raise SageMakerError(
                "ValidationException",
                f"the local SageMaker serves one production variant, got {len(variants)}",
            )
        self._describe_model(variants[0]["ModelName"])
        with self._lock:
            if _key(name) in self._configs:
                raise SageMakerError(
                    "ValidationException",
                    f'Cannot create already existing endpoint configuration "{_arn("endpoint-config", name)}".',
                )
            config = _Config(parameters=parameters, arn=_arn("endpoint-config", name), created=time.time())
            self._configs[_key(name)] = config
        return {"EndpointConfigArn": config.arn}

    def describe_endpoint_config(self, parameters: Parameters) -> Parameters:
        config = self._config(parameters["EndpointConfigName"])
        shown = {name: value for name, value in config.parameters.items() if name != "Tags"}
        return {**shown, "EndpointConfigArn": config.arn, "CreationTime": config.created}

    def delete_endpoint_config(self, parameters: Parameters) -> Parameters:
        self._config(parameters["EndpointConfigName"])
        with self._lock:
            del self._configs[_key(parameters["EndpointConfigName"])]
        return {}

    def list_endpoint_configs(self, _parameters: Parameters) -> Parameters:
        with self._lock:
            found = [(name, config) for (*_, name), config in self._configs.items()]
        return {
            "EndpointConfigs": [
                {"EndpointConfigName": name, "EndpointConfigArn": config.arn, "CreationTime": config.created}
                for name, config in found
            ]
        }

    # --- endpoints ---

    def create_endpoint(self, parameters: Parameters) -> Parameters:
        """Answer at once, as SageMaker does, and start the model in the background."""
        self.start_creation(parameters)
        return {"EndpointArn": _arn("endpoint", parameters["EndpointName"])}

    def start_creation(self, parameters: Parameters) -> Future[None]:
        """Begin to create an endpoint; the future ends when it is ``InService`` or raises why it failed."""
        name, config_name = parameters["EndpointName"], parameters["EndpointConfigName"]
        config = self._config(config_name)
        now = time.time()
        endpoint = _Endpoint(
            arn=_arn("endpoint", name),
            config_name=config_name,
            status="Creating",
            created=now,
            modified=now,
            tags=parameters.get("Tags", []),
        )
        with self._lock:
            if _key(name) in self._endpoints:
                raise SageMakerError(
                    "ValidationException", f'Cannot create already existing endpoint "{endpoint.arn}".'
                )
            self._endpoints[_key(name)] = endpoint
        return self._deploy(name, endpoint, config_name, config, if_it_fails="Failed")

    def update_endpoint(self, parameters: Parameters) -> Parameters:
        """Answer at once, as SageMaker does, and exchange the model in the background."""
        self.start_update(parameters)
        return {"EndpointArn": _arn("endpoint", parameters["EndpointName"])}

    def start_update(self, parameters: Parameters) -> Future[None]:
        """Begin to move an endpoint to another configuration; the old one serves until the new one is healthy."""
        name, config_name = parameters["EndpointName"], parameters["EndpointConfigName"]
        config = self._config(config_name)
        endpoint = self._endpoint(name)
        with self._lock:
            if endpoint.status not in ("InService", "Failed"):
                raise SageMakerError("ValidationException", f'Cannot update in-progress endpoint "{endpoint.arn}".')
            if_it_fails = "InService" if endpoint.server else "Failed"
            endpoint.status = "Updating"
        return self._deploy(name, endpoint, config_name, config, if_it_fails=if_it_fails)

    def describe_endpoint(self, parameters: Parameters) -> Parameters:
        name = parameters["EndpointName"]
        endpoint = self._endpoint(name)
        answer: Parameters = {
            "EndpointName": name,
            "EndpointArn": endpoint.arn,
            "EndpointConfigName": endpoint.config_name,
            "EndpointStatus": endpoint.status,
            "CreationTime": endpoint.created,
            "LastModifiedTime": endpoint.modified,
        }
        if endpoint.failure_reason:
            answer["FailureReason"] = endpoint.failure_reason
        if endpoint.variant:
            answer["ProductionVariants"] = [_variant_summary(endpoint.variant)]
        return answer

    def list_endpoints(self, _parameters: Parameters) -> Parameters:
        with self._lock:
            found = [(name, endpoint) for (*_, name), endpoint in self._endpoints.items()]
        return {
            "Endpoints": [
                {
                    "EndpointName": name,
                    "EndpointArn": endpoint.arn,
                    "EndpointStatus": endpoint.status,
                    "CreationTime": endpoint.created,
                    "LastModifiedTime": endpoint.modified,
                }
                for name, endpoint in found
            ]
        }

    def delete_endpoint(self, parameters: Parameters) -> Parameters:
        endpoint = self._endpoint(parameters["EndpointName"])
        with self._lock:
            endpoint.status = "Deleting"
            self._endpoints.pop(_key(parameters["EndpointName"]), None)
        if endpoint.server:
            endpoint.server.stop()
        return {}

    def invoke(self, name: str, body: bytes, headers: dict[str, str]) -> tuple[Answer, str]:
        """Call the model; return its answer and the production variant that gave it.

        Raises:
            SageMakerError: No such endpoint, too large a payload, or what the model answered instead of a result.
        """
        endpoint = self._endpoints.get(_key(name))
        if endpoint is None:
            account, _region = patches.scope()
            raise SageMakerError("ValidationError", f"Endpoint {name} of account {account} not found.")
        server, variant = endpoint.server, endpoint.variant
        if server is None:
            raise SageMakerError("ValidationError", f"Endpoint {name} is not in service: {endpoint.status}.")
        serverless = "ServerlessConfig" in variant
        limit = _SERVERLESS_PAYLOAD_BYTES if serverless else _REAL_TIME_PAYLOAD_BYTES
        if len(body) > limit:
            raise SageMakerError(
                "ValidationError",
                f"Request payload size {len(body)} exceeds the limit of {limit} bytes.",
                status=413,
            )
        try:
            answer = server.invoke(body, headers)
        except TimeoutError:
            message = "Your invocation timed out while waiting for a response from container primary."
            raise _model_error(endpoint, 0, "server", message) from None
        except ConnectionError as error:
            raise SageMakerError("InternalFailure", f"The model's process is gone: {error}", status=500) from error
        if answer.status >= 400:
            side = "client" if answer.status < 500 else "server"
            raise _model_error(endpoint, answer.status, side, answer.body.decode(errors="replace"))
        return answer, variant["VariantName"]

    def shut_down(self) -> None:
        """Stop every model's process."""
        with self._lock:
            servers = [endpoint.server for endpoint in self._endpoints.values() if endpoint.server]
            self._endpoints.clear()
        for server in servers:
            server.stop()
        self._starters.shutdown(cancel_futures=True)

    # --- the inside ---

    def _config(self, name: str) -> _Config:
        with self._lock:
            if config := self._configs.get(_key(name)):
                return config
        raise not_found("endpoint configuration", _arn("endpoint-config", name))

    def _endpoint(self, name: str) -> _Endpoint:
        with self._lock:
            if endpoint := self._endpoints.get(_key(name)):
                return endpoint
        raise not_found("endpoint", _arn("endpoint", name))

    def _deploy(
        self, name: str, endpoint: _Endpoint, config_name: str, config: _Config, *, if_it_fails: str
    ) -> Future[None]:
        """Start the configuration's model, put it in the place of the one that serves, then stop that one."""
        variant = config.parameters["ProductionVariants"][0]
        try:
            server = self._server(name, endpoint, variant)
        except SageMakerError as error:
            endpoint.status, endpoint.failure_reason = if_it_fails, error.message
            raise

        def run() -> None:
            try:
                server.start()
            except Exception as error:
                reason = error.message if isinstance(error, SageMakerError) else repr(error)
                with self._lock:
                    endpoint.status, endpoint.failure_reason = if_it_fails, reason
                    endpoint.modified = time.time()
                raise
            with self._lock:
                old, endpoint.server = endpoint.server, server
                endpoint.variant, endpoint.config_name = variant, config_name
                endpoint.status, endpoint.failure_reason = "InService", None
                endpoint.modified = time.time()
                gone = endpoint not in self._endpoints.values()
            if old:
                old.stop()
            if gone:
                server.stop()

        return self._starters.submit(run)

    def _server(self, name: str, endpoint: _Endpoint, variant: Parameters) -> ModelServer:
        model = self._describe_model(variant["ModelName"])
        primary = model.get("PrimaryContainer") or (model.get("Containers") or [{}])[0]
        endpoint.replicas += 1
        return ModelServer(
            container=Container(
                model_data_url=primary.get("ModelDataUrl"),
                environment=primary.get("Environment") or {},
                network_isolation=bool(model.get("EnableNetworkIsolation")),
            ),
            variant_name=variant["VariantName"],
            role=AssumedRole(model["ExecutionRoleArn"]),
            directory=self._state.endpoints / name / f"{endpoint.replicas}-{time.time_ns()}",
            log_file=self._state.endpoint_logs / f"{name}.log",
            log_stream=(
                f"/aws/sagemaker/Endpoints/{name}",
                f"{variant['VariantName']}/i-local{endpoint.replicas:04d}",
            ),
        )


def _key(name: str) -> Key:
    return (*patches.scope(), name)


def _arn(kind: str, name: str) -> str:
    account, region = patches.scope()
    return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name.lower()}"


def _variant_summary(variant: Parameters) -> Parameters:
    summary: Parameters = {"VariantName": variant["VariantName"]}
    if "ServerlessConfig" in variant:
        summary["CurrentServerlessConfig"] = variant["ServerlessConfig"]
        return summary
    count = variant.get("InitialInstanceCount", 1)
    weight = variant.get("InitialVariantWeight", 1.0)
    return summary | {
        "CurrentInstanceCount": count,
        "DesiredInstanceCount": count,
        "CurrentWeight": weight,
        "DesiredWeight": weight,
    }


def _model_error(endpoint: _Endpoint, status: int, side: str, original: str) -> SageMakerError:
    """Return what InvokeEndpoint answers when the container refuses or fails."""
    name = endpoint.arn.rsplit("/", 1)[-1]
    account, region = patches.scope()
    log_arn = f"arn:aws:logs:{region}:{account}:log-group:/aws/sagemaker/Endpoints/{name}"
    return SageMakerError(
        "ModelError",
        f'Received {side} error ({status}) from primary with message "{original}". See the log group {log_arn}.',
        status=424,
        details={
            "ErrorCode": f"{side.upper()}_ERROR_FROM_MODEL",
            "LogStreamArn": log_arn,
            "OriginalMessage": original,
            "OriginalStatusCode": status,
        },
    )
