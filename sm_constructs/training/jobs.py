"""SageMaker's requests for training and processing jobs, with what only an execution knows as JSONata.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateProcessingJob.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration

from sm_constructs._states import State, jsonata
from sm_constructs.training.script import TrainingScript

_CODE = "/opt/ml/input/data/code"
_PROCESSING = "/opt/ml/processing"
_LONGEST_PROCESSING = (
    777_600  # seconds: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingStoppingCondition.html
)
# The archive of the script is unpacked beside the data: a job that is cut off from the network can do that too.
_EVALUATE = (
    "mkdir -p /tmp/code && tar -xzf /opt/ml/processing/input/code/* -C /tmp/code && exec python3 /tmp/code/evaluate.py"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class JobSettings:
    """What all jobs of a workflow have in common.

    Args:
        script: What runs.
        image: The URI of its image.
        code_url: The ``s3://`` URL of the script's archive.
        code_name: The archive's name.
        role_arn: The jobs' role.
        bucket: The bucket's name.
        instance_type: What training runs on.
        evaluation_instance_type: What evaluation runs on.
        volume_size_gb: The size of each instance's volume in GB.
        max_runtime: How long a job may run.
        max_wait: How long a spot job may wait and run. None: no spot instances.
        keep_alive: How long instances are kept for the next job. None: they are not.
        network_isolation: Whether the containers are cut off from every network.
        inter_container_encryption: Whether instances of a job talk encrypted.
        output_key_arn: Encrypts what jobs write. None: the bucket's own encryption.
        volume_key_arn: Encrypts the volumes of training. None: keys that AWS manages.
        evaluation_volume_key_arn: Encrypts those of evaluation. None: keys that AWS manages.
        vpc_config: Where the containers run. None: in SageMaker's network.
        tags: Of the jobs.
    """

    script: TrainingScript
    image: str
    code_url: str
    code_name: str
    role_arn: str
    bucket: str
    instance_type: str
    evaluation_instance_type: str
    volume_size_gb: int
    max_runtime: Duration
    max_wait: Duration | None
    keep_alive: Duration | None
    network_isolation: bool
    inter_container_encryption: bool
    output_key_arn: str | None
    volume_key_arn: str | None
    evaluation_volume_key_arn: str | None
    vpc_config: Mapping[str, Sequence[str]] | None
    tags: Mapping[str, str]

    def training_job(self) -> State:
        """Return the request for one trial, of ``{"trial": …, "plan": …}``."""
        shards = self.script.distributed == "shards"
        several = "$states.input.plan.instance_count > 1"
        distribution = jsonata(f"{several} ? 'ShardedByS3Key' : 'FullyReplicated'") if shards else "FullyReplicated"
        prefix = f"'s3://{self.bucket}/' & $states.input.plan.prefix"
        name = "$states.input.trial.name"
        static = {
            "sagemaker_program": self.script.entry_point,
            "sagemaker_submit_directory": f"{_CODE}/{self.code_name}",
            "sagemaker_container_log_level": "20",
        }
        return {
            "TrainingJobName": jsonata(name),
            "AlgorithmSpecification": {
                "TrainingImage": self.image,
                "TrainingInputMode": "File",
                "EnableSageMakerMetricsTimeSeries": True,
                "MetricDefinitions": [
                    {"Name": metric, "Regex": pattern} for metric, pattern in self.script.metrics.items()
                ],
            },
            "HyperParameters": jsonata(f"$merge([{_literal(static)}, $states.input.trial.hyperparameters])"),
            "InputDataConfig": [
                _channel("train", jsonata(f"{prefix} & 'train/'"), distribution),
                _channel("validation", jsonata(f"{prefix} & 'validation/'")),
                _channel("code", self.code_url),
            ],
            "OutputDataConfig": {
                "S3OutputPath": jsonata(f"{prefix} & 'jobs'"),
                **({"KmsKeyId": self.output_key_arn} if self.output_key_arn else {}),
            },
            "CheckpointConfig": {"S3Uri": jsonata(f"{prefix} & 'checkpoints/' & {name}")},
            "ResourceConfig": {
                "InstanceType": self.instance_type,
                "InstanceCount": jsonata("$states.input.plan.instance_count"),
                "VolumeSizeInGB": self.volume_size_gb,
                **({"VolumeKmsKeyId": self.volume_key_arn} if self.volume_key_arn else {}),
                **({"KeepAlivePeriodInSeconds": self.keep_alive.to_seconds()} if self.keep_alive else {}),
            },
            "StoppingCondition": {
                "MaxRuntimeInSeconds": self.max_runtime.to_seconds(),
                **({"MaxWaitTimeInSeconds": self.max_wait.to_seconds()} if self.max_wait else {}),
            },
            "EnableManagedSpotTraining": self.max_wait is not None,
            "EnableNetworkIsolation": self.network_isolation,
            "EnableInterContainerTrafficEncryption": self.inter_container_encryption,
            "RetryStrategy": {"MaximumRetryAttempts": 2},  # after internal errors of SageMaker
            "RoleArn": self.role_arn,
            **({"VpcConfig": self.vpc_config} if self.vpc_config else {}),
            "Tags": self._tags(),
        }

    def evaluation_job(self) -> State:
        """Return the request that packages the best trial's model and measures it beside the one in service."""
        prefix = f"'s3://{self.bucket}/' & $plan.prefix"
        return {
            "ProcessingJobName": jsonata("$plan.evaluation_job"),
            "AppSpecification": {
                "ImageUri": self.image,
                "ContainerEntrypoint": ["/bin/sh", "-c", _EVALUATE],
            },
            "Environment": {
                "MODEL_FORMAT": self.script.model_format,
                "TRAINING_ID": jsonata("$plan.training_id"),
                "DATASET": jsonata("$plan.dataset"),
                "DATASET_HASH": jsonata("$dataset.dataset_hash"),
            },
            "ProcessingInputs": [
                _input("code", self.code_url),
                _input("candidate", jsonata("$selection.best.model_artifacts")),
                _input("in-service", jsonata("$in_service.model_data")),
                _input("test", jsonata(f"{prefix} & 'test/'")),
            ],
            "ProcessingOutputConfig": {
                **({"KmsKeyId": self.output_key_arn} if self.output_key_arn else {}),
                "Outputs": [
                    _output("model", jsonata(f"'s3://{self.bucket}/models/' & $plan.training_id")),
                    _output("evaluation", jsonata(f"{prefix} & 'evaluation'")),
                ],
            },
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceCount": 1,
                    "InstanceType": self.evaluation_instance_type,
                    "VolumeSizeInGB": self.volume_size_gb,
                    **({"VolumeKmsKeyId": key} if (key := self.evaluation_volume_key_arn) else {}),
                }
            },
            "NetworkConfig": {
                "EnableNetworkIsolation": self.network_isolation,
                "EnableInterContainerTrafficEncryption": self.inter_container_encryption,
                **({"VpcConfig": self.vpc_config} if self.vpc_config else {}),
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": min(self.max_runtime.to_seconds(), _LONGEST_PROCESSING)},
            "RoleArn": self.role_arn,
            "Tags": self._tags(),
        }

    def _tags(self) -> list[dict[str, str]]:
        return [
            {"Key": "sm-constructs:training", "Value": jsonata("$states.context.Execution.Name")},
            *({"Key": key, "Value": value} for key, value in self.tags.items()),
        ]


def _channel(name: str, url: str, distribution: str = "FullyReplicated") -> State:
    source = {"S3DataType": "S3Prefix", "S3Uri": url, "S3DataDistributionType": distribution}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def _input(name: str, url: str) -> State:
    return {
        "InputName": name,
        "S3Input": {
            "LocalPath": f"{_PROCESSING}/input/{name}",
            "S3DataDistributionType": "FullyReplicated",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3Uri": url,
        },
    }


def _output(name: str, url: str) -> State:
    return {
        "OutputName": name,
        "S3Output": {"LocalPath": f"{_PROCESSING}/output/{name}", "S3UploadMode": "EndOfJob", "S3Uri": url},
    }


def _literal(values: Mapping[str, Any]) -> str:
    """Return an object as JSONata has it: with single quotes, since it stands in a JSON string."""
    return "{" + ", ".join(f"'{name}': '{value}'" for name, value in values.items()) + "}"
