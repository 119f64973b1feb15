"""One transform job: what SageMaker refuses of its request, and what it says of it."""

from __future__ import annotations

from dataclasses import replace

from sm_local.sagemaker.errors import invalid
from sm_local.sagemaker.jobs.job import Job
from sm_local.sagemaker.jobs.records import DataProcessing
from sm_local.sagemaker.models import Model, Models
from sm_local.sagemaker.registry import Parameters
from sm_local.sagemaker.role import AssumedRole

_MEGABYTE = 1024 * 1024
_MOST_MEGABYTES = 100


class TransformJob(Job):
    """A batch transform job.

    Args:
        parameters: The request, whose members' own limits were checked.
        arn: The job's ARN.
        models: Have the model.

    Raises:
        SageMakerError: SageMaker or the local AWS refuses it.
    """

    def __init__(self, parameters: Parameters, arn: str, models: Models) -> None:
        super().__init__("Transform", parameters, arn, lambda job: job.description)
        self.model = self._with_environment(models.get(parameters["ModelName"]))
        if self.model.many_models or self.model.direct:
            raise invalid(f"Model {self.model.name} cannot be used by a transform job.")
        self.role = AssumedRole(self.model.role_arn)
        self.processing = self._data_processing()
        client = parameters.get("ModelClientConfig", {})
        self.timeout_seconds = int(client.get("InvocationsTimeoutInSeconds", 600))
        self.retries = int(client.get("InvocationsMaxRetries", 3))
        self._check()

    @property
    def instances(self) -> int:
        """How many models work."""
        return int(self.parameters["TransformResources"]["InstanceCount"])

    @property
    def concurrency(self) -> int:
        """How many requests a model gets at the same time."""
        return max(1, int(self.parameters.get("MaxConcurrentTransforms", 1)))

    @property
    def most_bytes(self) -> int:
        """How large a request may be; 0 for any size."""
        return int(self.parameters.get("MaxPayloadInMB", 6)) * _MEGABYTE

    @property
    def lines(self) -> bool:
        """Whether each line of the input is a record."""
        return bool(self.parameters["TransformInput"].get("SplitType") == "Line")

    @property
    def several(self) -> bool:
        """Whether a request has as many records as fit."""
        return bool(self.parameters.get("BatchStrategy", "MultiRecord") == "MultiRecord")

    @property
    def assembled_by_line(self) -> bool:
        """Whether a line ends after each answer."""
        return bool(self.parameters["TransformOutput"].get("AssembleWith") == "Line")

    @property
    def description(self) -> Parameters:
        """The answer of ``DescribeTransformJob``."""
        return super().description

    def _with_environment(self, model: Model) -> Model:
        added = {
            **self.parameters.get("Environment", {}),
            "SAGEMAKER_BATCH": "true",
            "SAGEMAKER_BATCH_STRATEGY": self.parameters.get("BatchStrategy", "MultiRecord"),
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(self.parameters.get("MaxConcurrentTransforms", 1)),
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(self.parameters.get("MaxPayloadInMB", 6)),
        }
        containers = tuple(replace(one, environment={**one.environment, **added}) for one in model.containers)
        return replace(model, containers=containers)

    def _data_processing(self) -> DataProcessing:
        asked = self.parameters.get("DataProcessing", {})
        try:
            return DataProcessing(
                input_filter=asked.get("InputFilter", "$"),
                output_filter=asked.get("OutputFilter", "$"),
                join=asked.get("JoinSource") == "Input",
                content_type=self.parameters["TransformInput"].get("ContentType", ""),
                accept=self.parameters["TransformOutput"].get("Accept", ""),
            )
        except ValueError as error:
            raise invalid(f"DataProcessing: {error}") from error

    def _check(self) -> None:
        source, output = self.parameters["TransformInput"], self.parameters["TransformOutput"]
        if source["DataSource"]["S3DataSource"]["S3DataType"] not in ("S3Prefix", "ManifestFile"):
            raise invalid("The local SageMaker transforms only an S3Prefix or the files of a ManifestFile.")
        if source.get("CompressionType", "None") != "None":
            raise invalid("The local SageMaker does not unpack the input of transform jobs.")
        if source.get("SplitType", "None") not in ("None", "Line"):
            raise invalid(f"The local SageMaker does not have SplitType {source['SplitType']}.")
        if self.concurrency * self.most_bytes > _MOST_MEGABYTES * _MEGABYTE:
            raise invalid("MaxConcurrentTransforms times MaxPayloadInMB must not exceed 100.")
        if self.processing.join and not self.processing.content_type:
            raise invalid("JoinSource needs a ContentType of TransformInput: text/csv, or one of JSON.")
        if self.processing.join and source.get("SplitType") == "Line" and output.get("AssembleWith") != "Line":
            raise invalid("JoinSource needs AssembleWith Line, as the input is split by Line.")
