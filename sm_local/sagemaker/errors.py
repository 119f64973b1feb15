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


def not_found(kind: str, arn: str) -> SageMakerError:
    """Return SageMaker's answer to a name that it does not know."""
    return SageMakerError("ValidationException", f'Could not find {kind} "{arn}".')
