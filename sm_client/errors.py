"""What can go wrong between a caller and the API, as types."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sm_client.executions import Failure
    from sm_client.jobs import Job
    from sm_client.trainings import Training
    from sm_client.transforms import Transform


class SmClientError(Exception):
    """Base of every error that this package raises on purpose."""


class StackNotFoundError(SmClientError):
    """There is no such deployed stack, or it has no classification API.

    Args:
        stack_name: The stack that was looked for.
        reason: Why it will not do.
    """

    def __init__(self, stack_name: str, reason: str) -> None:
        self.stack_name = stack_name
        super().__init__(f"stack {stack_name!r} {reason}")


class OutputMissingError(SmClientError):
    """The stack does not say where something is that a call needs.

    Args:
        output: The output that is missing.
    """

    def __init__(self, output: str) -> None:
        self.output = output
        super().__init__(
            f"the stack has no output {output}, or the client was not made by Client.from_stack: "
            "deploy a stack that has what this needs"
        )


class ApiUnreachableError(SmClientError):
    """No HTTP answer came back, after all attempts. The cause is chained."""


class ApiError(SmClientError):
    """The API refused or failed: the fields of its RFC 9457 problem document.

    Args:
        status: HTTP status code.
        title: Short summary of the kind of problem.
        detail: What came, what is allowed and how to fix it; empty when the API did not say.
        type: URI of the kind of problem, ``about:blank`` when there is none.
        request_id: Names the request in the logs; empty when the API did not say.

    >>> raise ApiError(status=413, title="Content Too Large", detail="200001 characters: at most 200000")
    Traceback (most recent call last):
        ...
    sm_client.errors.ApiError: 413 Content Too Large: 200001 characters: at most 200000
    """

    def __init__(
        self,
        *,
        status: int,
        title: str,
        detail: str = "",
        type: str = "about:blank",
        request_id: str = "",
    ) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        self.type = type
        self.request_id = request_id
        request = f" (request {request_id})" if request_id else ""
        super().__init__(f"{status} {title}{': ' if detail else ''}{detail}{request}")


class NotFoundError(ApiError):
    """There is no such job, training, transform or request, or no longer: they are forgotten some days later."""


class ConflictError(ApiError):
    """The idempotency key was used for something else before."""


class JobFailedError(SmClientError):
    """A job has no results, and never will by itself.

    Args:
        job: Its ``error`` says why.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        super().__init__(f"job {job.job_id} failed: {job.error or 'for no reason that the API told'}")


class StillRunningError(SmClientError):
    """Jobs have not ended yet, and may still.

    Args:
        jobs: As they were at the last look.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = tuple(jobs)
        first = self.jobs[0]
        others = f", and {len(self.jobs) - 1} more jobs" if len(self.jobs) > 1 else ""
        reason = f" (the last try failed: {first.last_error})" if first.last_error else ""
        super().__init__(f"job {first.job_id} is still {first.status}{reason}{others}")


class TrainingFailedError(SmClientError):
    """A training made no model.

    Args:
        training: Its ``error`` says why.
    """

    def __init__(self, training: Training) -> None:
        self.training = training
        super().__init__(f"training {training.training_id} failed: {_reason(training.error)}")


class TrainingRunningError(SmClientError):
    """A training has not ended yet, and may still.

    Args:
        training: As it was at the last look.
    """

    def __init__(self, training: Training) -> None:
        self.training = training
        state = f" ({training.state})" if training.state else ""
        super().__init__(f"training {training.training_id} is still running{state}")


class TransformFailedError(SmClientError):
    """A transform has not labelled all of its files.

    Args:
        transform: Its ``error`` says why.
    """

    def __init__(self, transform: Transform) -> None:
        self.transform = transform
        super().__init__(f"transform {transform.transform_id} failed: {_reason(transform.error)}")


class TransformRunningError(SmClientError):
    """A transform has not ended yet, and may still.

    Args:
        transform: As it was at the last look.
    """

    def __init__(self, transform: Transform) -> None:
        self.transform = transform
        super().__init__(f"transform {transform.transform_id} is still running ({transform.progress})")


class PromotionFailedError(SmClientError):
    """The model in service was not changed.

    Args:
        execution_arn: The execution that failed.
        status: How it ended, in Step Functions' words.
        error: The name of its error.
        cause: Why; of JSON its ``errorMessage`` is told.
    """

    def __init__(self, execution_arn: str, status: str, error: str | None, cause: str | None) -> None:
        self.execution_arn = execution_arn
        self.error = error
        super().__init__(f"{execution_arn} {status.lower()}: {error or 'Error'}: {_words(cause)}")


class PromotionRunningError(SmClientError):
    """Changing the model in service takes longer than was waited for.

    Args:
        execution_arn: The execution that runs.
    """

    def __init__(self, execution_arn: str) -> None:
        self.execution_arn = execution_arn
        super().__init__(f"{execution_arn} is still running")


def _reason(failure: Failure | None) -> str:
    return f"{failure.code}: {failure.detail}" if failure else "for no reason that the API told"


def _words(cause: str | None) -> str:
    try:
        document = json.loads(cause or "")
    except ValueError:
        document = None
    message = document.get("errorMessage") if isinstance(document, dict) else None
    return str(message or cause or "for no reason that AWS told")
