"""One training job: what SageMaker refuses of its request, and what it says of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sm_local.clock import Clock
from sm_local.sagemaker.errors import SageMakerError, invalid
from sm_local.sagemaker.jobs.job import ENDED, Job
from sm_local.sagemaker.jobs.metric_definitions import PrintedMetrics
from sm_local.sagemaker.jobs.paths import OPT_ML
from sm_local.sagemaker.metrics import MetricSink
from sm_local.sagemaker.registry import Parameters
from sm_local.sagemaker.role import AssumedRole

DEFAULT_RUNTIME_SECONDS = 86_400
_MESSAGES: Mapping[str, str] = MappingProxyType(
    {
        "Starting": "Starting the training job",
        "Downloading": "Downloading input data",
        "Training": "Training image download completed. Training in progress.",
        "Interrupted": "Training job interrupted",
        "Restarting": "Restarting the training job",
        "Uploading": "Uploading generated training model",
        "Stopping": "Stopping the training job",
        "Stopped": "Training job stopped",
        "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
        "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
        "Completed": "Training job completed",
        "Failed": "Training job failed",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One input of a training job.

    Args:
        name: The directory it gets.
        kind: ``S3Prefix`` or ``ManifestFile``.
        uri: Where its data are.
        sharded: Whether each host gets a part of the objects.
        parameters: As the request has it.
    """

    name: str
    kind: str
    uri: str
    sharded: bool
    parameters: Parameters

    @classmethod
    def parse(cls, parameters: Parameters) -> Channel:
        """Return the channel of a request.

        Raises:
            SageMakerError: It is of a kind that the local SageMaker does not have.
        """
        name, source = parameters["ChannelName"], parameters["DataSource"].get("S3DataSource")
        if source is None or source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
            raise invalid(f"The local SageMaker reads channel {name} only from an S3Prefix or a ManifestFile.")
        for member in ("CompressionType", "RecordWrapperType"):
            if parameters.get(member, "None") != "None":
                raise invalid(f"The local SageMaker does not have {member} {parameters[member]} (channel {name}).")
        if parameters.get("InputMode") == "Pipe":
            raise invalid(f"The local SageMaker does not have input mode Pipe (channel {name}).")
        return cls(
            name=name,
            kind=source["S3DataType"],
            uri=source["S3Uri"],
            sharded=source.get("S3DataDistributionType") == "ShardedByS3Key",
            parameters=parameters,
        )

    @property
    def configuration(self) -> dict[str, str]:
        """What ``inputdataconfig.json`` says of it."""
        return {
            "TrainingInputMode": self.parameters.get("InputMode", "File"),
            "S3DistributionType": "ShardedByS3Key" if self.sharded else "FullyReplicated",
            "RecordWrapperType": "None",
            **({"ContentType": self.parameters["ContentType"]} if "ContentType" in self.parameters else {}),
        }


class TrainingJob(Job):
    """A training job.

    Args:
        parameters: The request, whose members' own limits were checked.
        arn: The job's ARN.
        sink: Where metrics go.
        clock: Tells when a warm pool is gone.

    Raises:
        SageMakerError: SageMaker or the local AWS refuses it.
    """

    def __init__(
        self,
        parameters: Parameters,
        arn: str,
        *,
        sink: MetricSink,
        clock: Clock,
    ) -> None:
        super().__init__("Training", parameters, arn, lambda job: job.description)
        check(parameters)
        self.role = AssumedRole(parameters["RoleArn"])
        self.channels = tuple(Channel.parse(one) for one in parameters.get("InputDataConfig", ()))
        self.printed = PrintedMetrics(
            parameters["AlgorithmSpecification"].get("MetricDefinitions", ()), sink, self.name
        )
        self.secondary_status = "Starting"
        self.model_artifacts: str | None = None
        self.training_seconds = 0.0
        self.reused_by: str | None = None
        self._clock = clock
        self._transitions: list[Parameters] = []
        self._note("Starting")

    @property
    def instances(self) -> int:
        """How many hosts train."""
        return int(self.parameters["ResourceConfig"]["InstanceCount"])

    @property
    def spot(self) -> bool:
        """Whether instances may be taken away."""
        return bool(self.parameters.get("EnableManagedSpotTraining"))

    @property
    def isolated(self) -> bool:
        """Whether the containers get no credentials."""
        return bool(self.parameters.get("EnableNetworkIsolation"))

    @property
    def most_seconds(self) -> int:
        """How long it may train."""
        return int(self.parameters["StoppingCondition"].get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_SECONDS))

    @property
    def most_seconds_with_waiting(self) -> int | None:
        """How long a spot job may take with all interruptions."""
        seconds = self.parameters["StoppingCondition"].get("MaxWaitTimeInSeconds")
        return int(seconds) if seconds is not None else None

    @property
    def warm_pool(self) -> Parameters | None:
        """``WarmPoolStatus``; nothing is really kept warm, as there is nothing to keep."""
        seconds = self.parameters["ResourceConfig"].get("KeepAlivePeriodInSeconds")
        if not seconds:
            return None
        if self.ended is None:
            return {"Status": "InUse"}
        kept = min(float(seconds), self._clock.now() - self._clock.virtual(self.ended))
        shown: Parameters = {"ResourceRetainedBillableTimeInSeconds": int(kept)}
        if self.reused_by:
            return {**shown, "Status": "Reused", "ReusedByJob": self.reused_by}
        return {**shown, "Status": "Available" if kept < seconds and self.status == "Completed" else "Terminated"}

    @property
    def description(self) -> Parameters:
        """The answer of ``DescribeTrainingJob``."""
        flags = ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining")
        shown: Parameters = {
            **dict.fromkeys(flags, False),
            **super().description,
            "SecondaryStatus": self.secondary_status,
            "SecondaryStatusTransitions": [dict(one) for one in self._transitions],
        }
        if self.model_artifacts:
            shown["ModelArtifacts"] = {"S3ModelArtifacts": self.model_artifacts}
        if final := self.printed.final:
            shown["FinalMetricDataList"] = final
        if self.status in ENDED and self.started is not None:
            shown["TrainingTimeInSeconds"] = shown["BillableTimeInSeconds"] = max(1, round(self.training_seconds))
        if warm := self.warm_pool:
            shown["WarmPoolStatus"] = warm
        return shown

    @property
    def summary(self) -> Parameters:
        """An entry of ``ListTrainingJobs``."""
        warm = self.warm_pool
        return {
            **super().summary,
            "SecondaryStatus": self.secondary_status,
            **({"WarmPoolStatus": warm} if warm else {}),
        }

    def change(self, *, status: str) -> None:
        """Give the job a status that is its secondary status, too."""
        if status == "Stopping" or (status in ENDED and self.secondary_status not in _REASONS_TO_STOP):
            self._note(status)
        super().change(status=status)

    def enter(self, secondary_status: str) -> None:
        """Give the job another secondary status and tell EventBridge."""
        self._note(secondary_status)
        self.modified = time.time()
        self.tell()

    def _note(self, status: str) -> None:
        now = time.time()
        if self._transitions:
            self._transitions[-1].setdefault("EndTime", now)
        self.secondary_status = status
        entry: Parameters = {"Status": status, "StartTime": now, "StatusMessage": _MESSAGES[status]}
        if status in ENDED or status in _REASONS_TO_STOP:
            entry["EndTime"] = now
        self._transitions.append(entry)


_REASONS_TO_STOP = ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")


def check(parameters: Parameters) -> None:
    """Refuse what SageMaker refuses of the whole request, and what the local SageMaker does not have.

    Raises:
        SageMakerError: With everything that is wrong.
    """
    if problems := [*_problems(parameters)]:
        raise SageMakerError("ValidationException", " ".join(problems))


def _problems(parameters: Parameters) -> Sequence[str]:
    algorithm, resources = parameters["AlgorithmSpecification"], parameters["ResourceConfig"]
    condition = parameters["StoppingCondition"]
    names = [channel["ChannelName"] for channel in parameters.get("InputDataConfig", ())]
    spot, wait = parameters.get("EnableManagedSpotTraining"), condition.get("MaxWaitTimeInSeconds")
    run = condition.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_SECONDS)
    checkpoints = parameters.get("CheckpointConfig", {}).get("LocalPath", f"{OPT_ML}/checkpoints")
    rules = {
        "AlgorithmSpecification: the local SageMaker needs a TrainingImage, and has no AlgorithmName.":
            "TrainingImage" not in algorithm or "AlgorithmName" in algorithm,
        "The local SageMaker does not have input mode Pipe.": algorithm.get("TrainingInputMode") == "Pipe",
        "ResourceConfig: the local SageMaker needs InstanceType and InstanceCount, and has no InstanceGroups.":
            not {"InstanceType", "InstanceCount"} <= resources.keys() or "InstanceGroups" in resources,
        "InputDataConfig: channel names must be unique.": len(names) != len(set(names)),
        "MaxWaitTimeInSeconds is required when EnableManagedSpotTraining is true.": spot and wait is None,
        f"MaxWaitTimeInSeconds {wait} must be greater than or equal to MaxRuntimeInSeconds {run}.":
            spot and wait is not None and wait < run,
        "MaxWaitTimeInSeconds is only allowed when EnableManagedSpotTraining is true.": not spot and wait is not None,
        # https://docs.aws.amazon.com/sagemaker/latest/dg/train-warm-pools.html#train-warm-pools-considerations
        "KeepAlivePeriodInSeconds cannot be used with EnableManagedSpotTraining: warm pools have no Spot Instances.":
            spot and resources.get("KeepAlivePeriodInSeconds"),
        f"CheckpointConfig: the local SageMaker has LocalPath only below {OPT_ML}, not {checkpoints}.":
            not checkpoints.startswith(f"{OPT_ML}/"),
    }  # fmt: skip
    return [words for words, broken in rules.items() if broken]
