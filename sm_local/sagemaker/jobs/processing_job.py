"""One processing job: what SageMaker refuses of its request, and what it says of it."""

from __future__ import annotations

from sm_local.sagemaker.errors import invalid
from sm_local.sagemaker.jobs.job import Job
from sm_local.sagemaker.jobs.paths import OPT_ML
from sm_local.sagemaker.registry import Parameters
from sm_local.sagemaker.role import AssumedRole

PROCESSING = f"{OPT_ML}/processing"


class ProcessingJob(Job):
    """A processing job.

    Args:
        parameters: The request, whose members' own limits were checked.
        arn: The job's ARN.

    Raises:
        SageMakerError: SageMaker or the local AWS refuses it.
    """

    def __init__(self, parameters: Parameters, arn: str) -> None:
        super().__init__("Processing", parameters, arn, lambda job: job.description)
        _check(parameters)
        self.role = AssumedRole(parameters["RoleArn"])
        self.exit_message: str | None = None

    @property
    def instances(self) -> int:
        """How many hosts process."""
        return int(self.parameters["ProcessingResources"]["ClusterConfig"]["InstanceCount"])

    @property
    def isolated(self) -> bool:
        """Whether the containers get no credentials."""
        return bool(self.parameters.get("NetworkConfig", {}).get("EnableNetworkIsolation"))

    @property
    def command(self) -> list[str]:
        """What the containers run."""
        application = self.parameters["AppSpecification"]
        return [*application["ContainerEntrypoint"], *application.get("ContainerArguments", ())]

    @property
    def description(self) -> Parameters:
        """The answer of ``DescribeProcessingJob``."""
        shown = super().description
        return {**shown, "ExitMessage": self.exit_message} if self.exit_message else shown


def _check(parameters: Parameters) -> None:
    """Refuse what the local SageMaker does not have.

    Raises:
        SageMakerError: It would not run as SageMaker runs it.
    """
    if not parameters["AppSpecification"].get("ContainerEntrypoint"):
        raise invalid("The local SageMaker has no images: name the command by AppSpecification.ContainerEntrypoint.")
    for one in parameters.get("ProcessingInputs", ()):
        source = one.get("S3Input")
        if source is None or source.get("S3InputMode", "File") != "File":
            raise invalid(f"The local SageMaker reads input {one['InputName']} only as files from S3 (S3Input, File).")
        if source.get("S3CompressionType", "None") != "None":
            raise invalid(f"The local SageMaker does not unpack input {one['InputName']}.")
        _check_path(source.get("LocalPath", ""), one["InputName"])
    for one in parameters.get("ProcessingOutputConfig", {}).get("Outputs", ()):
        if "S3Output" not in one:
            raise invalid(f"The local SageMaker writes output {one['OutputName']} only to S3.")
        _check_path(one["S3Output"]["LocalPath"], one["OutputName"])


def _check_path(path: str, name: str) -> None:
    if not path.startswith(f"{PROCESSING}/"):
        raise invalid(f"LocalPath {path!r} of {name} must be below {PROCESSING}.")
