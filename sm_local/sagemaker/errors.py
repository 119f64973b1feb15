"""What a SageMaker call answers when it fails."""

from __future__ import annotations


class SageMakerError(Exception):
    """An error as SageMaker's API reports it.

    Args:
        code: The error code that boto3 shows, such as ``ValidationException``.
        message: SageMaker's words where they are known.
        status: The HTTP status.
        details: Further members of the error's body.
    """

    def __init__(self, code: str, message: str, *, status: int = 400, details: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.details = details or {}


def invalid(message: str) -> SageMakerError:
    """Return the control plane's refusal of a request."""
    return SageMakerError("ValidationException", message)


def not_found(kind: str, arn: str) -> SageMakerError:
    """Return SageMaker's answer to a name that it does not know."""
    return invalid(f'Could not find {kind} "{arn}".')


def reason(error: BaseException) -> str:
    """Return the words of an error for ``FailureReason``."""
    return error.message if isinstance(error, SageMakerError) else repr(error)


class NoAnswerError(Exception):
    """A container did not answer.

    Args:
        container: Its name, as errors show it.
        why: What happened.
        timed_out: Whether it may still be at work.
    """

    def __init__(self, container: str, why: str, *, timed_out: bool = False) -> None:
        super().__init__(f"{container}: {why}")
        self.container = container
        self.timed_out = timed_out
