"""Typed client of a deployed text-classification stack.

>>> from sm_client import Client
>>> client = Client.from_stack("TextClassification-dev")  # doctest: +SKIP
>>> for result in client.classify(["物流很快，包装也好", "You have won a prize"]):  # doctest: +SKIP
...     print(result.label, round(result.score, 2))
"""

from sm_client.batches import batches
from sm_client.client import Client
from sm_client.errors import (
    ApiError,
    ApiUnreachableError,
    ConflictError,
    JobFailedError,
    NotFoundError,
    OutputMissingError,
    PromotionFailedError,
    PromotionRunningError,
    SmClientError,
    StackNotFoundError,
    StillRunningError,
    TrainingFailedError,
    TrainingRunningError,
    TransformFailedError,
    TransformRunningError,
)
from sm_client.executions import Failure
from sm_client.jobs import Job, Polling
from sm_client.results import Annotations, Classification, Classifications, Entity, Token
from sm_client.trainings import Training
from sm_client.transforms import Transform

__all__ = [
    "Annotations",
    "ApiError",
    "ApiUnreachableError",
    "Classification",
    "Classifications",
    "Client",
    "ConflictError",
    "Entity",
    "Failure",
    "Job",
    "JobFailedError",
    "NotFoundError",
    "OutputMissingError",
    "Polling",
    "PromotionFailedError",
    "PromotionRunningError",
    "SmClientError",
    "StackNotFoundError",
    "StillRunningError",
    "Token",
    "Training",
    "TrainingFailedError",
    "TrainingRunningError",
    "Transform",
    "TransformFailedError",
    "TransformRunningError",
    "batches",
]
