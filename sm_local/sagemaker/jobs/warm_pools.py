"""Which jobs would reuse the instances of which: kept as SageMaker says it, as there are no instances to keep."""

from __future__ import annotations

import threading

from sm_local.sagemaker.jobs.training_job import TrainingJob
from sm_local.sagemaker.registry import Parameters


class WarmPools:
    """The instances that jobs have left for others."""

    def __init__(self) -> None:
        self._pools: list[TrainingJob] = []
        self._lock = threading.Lock()

    def take(self, job: TrainingJob) -> None:
        """Let a job reuse a pool that fits, if there is one, and keep its own for the next."""
        with self._lock:
            if pool := next((one for one in self._pools if _fits(one, job)), None):
                pool.reused_by = job.name
                self._pools.remove(pool)
            if job.warm_pool is not None:
                self._pools.append(job)


def _fits(pool: TrainingJob, job: TrainingJob) -> bool:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/train-warm-pools.html#train-warm-pools-matching-criteria."""

    def criteria(parameters: Parameters) -> list[object]:
        resources, algorithm = parameters["ResourceConfig"], parameters["AlgorithmSpecification"]
        return [
            parameters["RoleArn"],
            [resources.get(name) for name in ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")],
            algorithm.get("TrainingImage"),
            parameters.get("VpcConfig"),
            [bool(parameters.get(f"Enable{name}"))
             for name in ("InterContainerTrafficEncryption", "NetworkIsolation")],
        ]  # fmt: skip

    available = (pool.warm_pool or {}).get("Status") == "Available"
    return available and criteria(pool.parameters) == criteria(job.parameters)
