"""What an endpoint configuration says, in the types that serving works with."""

from __future__ import annotations

from dataclasses import dataclass

from sm_local.sagemaker.model_data import S3Location
from sm_local.sagemaker.registry import Parameters

# ContainerStartupHealthCheckTimeoutInSeconds when it is not given: 8 minutes, as for ping requests on AWS.
STARTUP_SECONDS = 480


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerlessSettings:
    """How a serverless variant is run.

    Args:
        max_concurrency: How many calls at the same time.
        provisioned_concurrency: How many of them find the model warm; None when it may be stopped.
        parameters: As the API has it.
    """

    max_concurrency: int
    provisioned_concurrency: int | None
    parameters: Parameters

    @classmethod
    def parse(cls, parameters: Parameters) -> ServerlessSettings:
        """Return what ``ServerlessConfig`` says."""
        return cls(
            max_concurrency=parameters["MaxConcurrency"],
            provisioned_concurrency=parameters.get("ProvisionedConcurrency"),
            parameters=parameters,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantSettings:
    """One production or shadow variant of a configuration.

    Args:
        name: The variant.
        model_name: None when inference components bring the models.
        instance_type: None for serverless variants.
        instance_count: How many instances; the local AWS has one process for all of them.
        weight: Its part of the traffic, relative to the other variants.
        serverless: None for variants on instances.
        startup_seconds: How long a container may take until it answers.
        parameters: As the API has it.
    """

    name: str
    model_name: str | None
    instance_type: str | None
    instance_count: int
    weight: float
    serverless: ServerlessSettings | None
    startup_seconds: float
    parameters: Parameters

    @classmethod
    def parse(cls, parameters: Parameters) -> VariantSettings:
        """Return what a member of ``ProductionVariants`` says."""
        serverless = parameters.get("ServerlessConfig")
        return cls(
            name=parameters["VariantName"],
            model_name=parameters.get("ModelName"),
            instance_type=parameters.get("InstanceType"),
            instance_count=parameters.get("InitialInstanceCount", 1),
            weight=parameters.get("InitialVariantWeight", 1.0),
            serverless=ServerlessSettings.parse(serverless) if serverless else None,
            startup_seconds=parameters.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS),
            parameters=parameters,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncSettings:
    """How an endpoint works on requests from its queue.

    Args:
        output: Where answers go; None when only notifications carry them.
        failures: Where errors go; None when they are not kept.
        kms_key_id: Encrypts both.
        success_topic: Told of answers.
        error_topic: Told of errors.
        included_in: Of which notifications the answer is a part.
        concurrency: How many requests an instance works on at the same time.
        parameters: As the API has it.
    """

    output: S3Location | None
    failures: S3Location | None
    kms_key_id: str | None
    success_topic: str | None
    error_topic: str | None
    included_in: frozenset[str]
    concurrency: int
    parameters: Parameters

    # "If no value is provided, SageMaker chooses an optimal value."
    DEFAULT_CONCURRENCY = 4

    @classmethod
    def parse(cls, parameters: Parameters) -> AsyncSettings:
        """Return what ``AsyncInferenceConfig`` says."""
        output = parameters["OutputConfig"]
        notification = output.get("NotificationConfig", {})
        client = parameters.get("ClientConfig", {})
        paths = [output.get(name) for name in ("S3OutputPath", "S3FailurePath")]
        locations = [S3Location.parse(path) if path else None for path in paths]
        return cls(
            output=locations[0],
            failures=locations[1],
            kms_key_id=output.get("KmsKeyId"),
            success_topic=notification.get("SuccessTopic"),
            error_topic=notification.get("ErrorTopic"),
            included_in=frozenset(notification.get("IncludeInferenceResponseIn", ())),
            concurrency=client.get("MaxConcurrentInvocationsPerInstance", cls.DEFAULT_CONCURRENCY),
            parameters=parameters,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSettings:
    """Which requests and answers are kept.

    Args:
        enabled: Whether any are.
        percentage: How many of the requests, drawn at random.
        destination: The prefix below which the files are.
        kms_key_id: Encrypts them.
        request: Whether requests are captured.
        answer: Whether answers are.
        csv_types: Content types captured as they are, as CSV.
        json_types: Content types captured as they are, as JSON; all others are captured in base 64.
    """

    enabled: bool
    percentage: int
    destination: S3Location
    kms_key_id: str | None
    request: bool
    answer: bool
    csv_types: frozenset[str]
    json_types: frozenset[str]

    @classmethod
    def parse(cls, parameters: Parameters) -> CaptureSettings:
        """Return what ``DataCaptureConfig`` says."""
        modes = {option["CaptureMode"] for option in parameters["CaptureOptions"]}
        headers = parameters.get("CaptureContentTypeHeader", {})
        return cls(
            enabled=parameters.get("EnableCapture", True),
            percentage=parameters["InitialSamplingPercentage"],
            destination=S3Location.parse(parameters["DestinationS3Uri"]),
            kms_key_id=parameters.get("KmsKeyId"),
            request=bool(modes & {"Input", "InputAndOutput"}),
            answer=bool(modes & {"Output", "InputAndOutput"}),
            csv_types=frozenset(headers.get("CsvContentTypes", ())),
            json_types=frozenset(headers.get("JsonContentTypes", ())),
        )

    @property
    def description(self) -> Parameters:
        """What ``DescribeEndpoint`` says."""
        return {
            "EnableCapture": self.enabled,
            "CaptureStatus": "Started" if self.enabled else "Stopped",
            "CurrentSamplingPercentage": self.percentage,
            "DestinationS3Uri": str(self.destination),
            "KmsKeyId": self.kms_key_id or "",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """An endpoint configuration.

    Args:
        name: Its name.
        arn: Its ARN.
        created: When, in seconds since the epoch.
        parameters: As the API has it.
    """

    name: str
    arn: str
    created: float
    parameters: Parameters

    @property
    def variants(self) -> tuple[VariantSettings, ...]:
        """The production variants."""
        return tuple(map(VariantSettings.parse, self.parameters["ProductionVariants"]))

    @property
    def shadows(self) -> tuple[VariantSettings, ...]:
        """The shadow variants."""
        return tuple(map(VariantSettings.parse, self.parameters.get("ShadowProductionVariants") or ()))

    @property
    def asynchronous(self) -> AsyncSettings | None:
        """How requests are queued, if they are."""
        found = self.parameters.get("AsyncInferenceConfig")
        return AsyncSettings.parse(found) if found else None

    @property
    def capture(self) -> CaptureSettings | None:
        """What is captured, if anything."""
        found = self.parameters.get("DataCaptureConfig")
        return CaptureSettings.parse(found) if found else None

    @property
    def serverless(self) -> bool:
        """Whether its variants are serverless."""
        return any(variant.serverless for variant in self.variants)

    @property
    def hosts_components(self) -> bool:
        """Whether inference components bring the models."""
        return all(variant.model_name is None for variant in self.variants)
