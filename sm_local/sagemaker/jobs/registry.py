"""The jobs of one kind: unique names, lists, stopping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from sm_local.sagemaker import background
from sm_local.sagemaker.errors import SageMakerError, invalid
from sm_local.sagemaker.jobs.job import Job
from sm_local.sagemaker.registry import Parameters, Registry

SomeJob = TypeVar("SomeJob", bound=Job)


class Jobs(Generic[SomeJob]):
    """Jobs of one kind.

    Args:
        kind: As SageMaker's members have it, such as ``Training``.
        make: Makes a job of a request and an ARN. Raises SageMakerError for what SageMaker refuses.
        run: Does all the work of a job, in a thread of its own.
    """

    def __init__(self, kind: str, make: Callable[[Parameters, str], SomeJob], run: Callable[[SomeJob], None]) -> None:
        self._kind = kind
        self._make = make
        self._run = run
        self._jobs: Registry[SomeJob] = Registry(f"{kind.lower()}-job", f"{kind.lower()} job")

    def create(self, parameters: Parameters) -> Parameters:
        """Start a job.

        Raises:
            SageMakerError: Its name is taken, or SageMaker would refuse it.
        """
        name = parameters[f"{self._kind}JobName"]
        if self._jobs.find(name) is not None:
            raise SageMakerError(
                "ResourceInUse",
                f"Job name must be unique within an AWS account and region, and a {self._kind.lower()} job with this "
                f"name already exists ({self._jobs.arn(name)})",
            )
        job = self._make(parameters, self._jobs.arn(name))
        self._jobs.add(name, job)
        job.tell()
        background.keep_running(lambda: self._run(job), f"sagemaker-{self._kind.lower()}-job")
        return {f"{self._kind}JobArn": job.arn}

    def describe(self, parameters: Parameters) -> Parameters:
        """Return what is known of a job."""
        return self.get(parameters[f"{self._kind}JobName"]).description

    def stop(self, parameters: Parameters) -> Parameters:
        """Ask a job to stop."""
        job = self.get(parameters[f"{self._kind}JobName"])
        if not job.stop():
            raise invalid(f"The request was rejected because the {self._kind.lower()} job is in status {job.status}.")
        return {}

    def list(self, parameters: Parameters) -> Parameters:
        """Return the jobs that the filters leave, in the order asked for, a page at a time."""
        found = [job for name, job in self._jobs.items() if _wanted(job, parameters)]
        by = {"Name": lambda job: job.name, "Status": lambda job: job.status}
        found.sort(
            key=by.get(parameters.get("SortBy", ""), lambda job: job.created),
            reverse=parameters.get("SortOrder", "Descending") == "Descending",
        )
        first = int(parameters.get("NextToken") or 0)
        after = first + int(parameters.get("MaxResults", 10))
        page: Parameters = {f"{self._kind}JobSummaries": [job.summary for job in found[first:after]]}
        return {**page, "NextToken": str(after)} if after < len(found) else page

    def get(self, name: str) -> SomeJob:
        """Return the job of a name.

        Raises:
            SageMakerError: There is none.
        """
        if (job := self._jobs.find(name)) is None:
            raise invalid("Requested resource not found.")
        return job

    def shut_down(self) -> None:
        """Forget all jobs, once they are told to stop."""
        for job in self._jobs.clear():
            job.stopping.set()


def _wanted(job: Job, filters: Parameters) -> bool:
    return (
        filters.get("NameContains", "").lower() in job.name.lower()
        and filters.get("StatusEquals", job.status) == job.status
        and float(filters.get("CreationTimeAfter", 0)) <= job.created
        and job.created <= float(filters.get("CreationTimeBefore", job.created))
        and float(filters.get("LastModifiedTimeAfter", 0)) <= job.modified
        and job.modified <= float(filters.get("LastModifiedTimeBefore", job.modified))
    )
