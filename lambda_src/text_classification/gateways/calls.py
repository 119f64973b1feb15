"""Calls to AWS services: time-outs, repetition and failures, the same for all of them."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.exceptions import (
    ConnectionError as NoConnectionError,
)

from text_classification.gateways.errors import (
    GatewayError,
    MisconfiguredError,
    RejectedError,
    TimedOutError,
    UnavailableError,
)

_Answer = TypeVar("_Answer")

_MAX_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.4
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500
_NO_STATUS = 0  # what SageMaker says of a container that has not answered after a minute
_PASSING_ERRORS = frozenset(
    {
        "DatabaseResumingException",
        "KMS.ThrottlingException",  # SQS, by the name it had in its older protocol
        "KmsThrottled",
        "OverLimit",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ThrottlingException",
    }
)
# Classes of PostgreSQL's errors: connection, transaction rolled back (such as a deadlock), out of resources, shutdown.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_PASSING_SQL_STATES = {"08", "40", "53", "57"}


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeBudget:
    """How long a call may take.

    Args:
        total_seconds: Connecting, reading and all repetitions together. It stays below the timeout of the
            function, which leaves time to answer, and that below API Gateway's 29 seconds.
    """

    total_seconds: float

    @property
    def connect_seconds(self) -> float:
        return min(2.0, self.total_seconds / 10)

    @property
    def attempt_seconds(self) -> float:
        """The longest that one attempt takes: most of it all, because a model that starts needs its time."""
        return self.total_seconds * 0.8

    def client_config(self) -> Config:
        """Return the configuration of a client whose single attempts keep to the budget."""
        return Config(
            connect_timeout=self.connect_seconds,
            read_timeout=self.attempt_seconds - self.connect_seconds,
            # call_service repeats instead: botocore does not know how much time is left, and repeats calls
            # that timed out while the model is still at work on them.
            retries={"mode": "standard", "total_max_attempts": 1},
        )


def call_service(
    call: Callable[[], _Answer],
    budget: TimeBudget,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> _Answer:
    """Return what ``call`` returns, repeating it after failures that may pass, while there is time.

    Args:
        call: One call of a client that was made with ``budget.client_config()``.
        budget: How long all of it may take.
        sleep: Waits between attempts, for the seconds it is given.
        clock: Tells the time in seconds.

    Raises:
        GatewayError: The last failure, as one of its kinds.
    """
    deadline = clock() + budget.total_seconds
    for attempt in count(1):
        try:
            return call()
        except (ClientError, NoConnectionError, HTTPClientError, IncompleteReadError, UnavailableError) as error:
            failure = error if isinstance(error, UnavailableError) else _failure(error)
            pause = random.uniform(0, _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))  # noqa: S311 (jitter, not a secret)
            may_pass = isinstance(failure, UnavailableError) or isinstance(error, ConnectTimeoutError)
            in_time = clock() + pause + budget.attempt_seconds <= deadline
            if attempt == _MAX_ATTEMPTS or not (may_pass and in_time):
                raise failure from error
            sleep(pause)
        except ParamValidationError as error:
            # What it says may quote a text.
            raise MisconfiguredError(
                "the call is none that the service has", {"error": type(error).__name__}
            ) from error
    raise AssertionError("count() does not end")


@contextmanager
def failing_as_a_call() -> Iterator[None]:
    """Raise what fails while an answer is read bit by bit as the GatewayError that a call raises; repeat nothing."""
    try:
        yield
    except (NoConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise _failure(error) from error


def _failure(error: BotoCoreError | ClientError) -> GatewayError:
    match error:
        case ClientError():
            return _service_failure(error)
        case ConnectTimeoutError() | ReadTimeoutError():
            return TimedOutError("no answer in time", {"error": type(error).__name__})
        case _:
            return UnavailableError("no connection", {"error": type(error).__name__, "reason": str(error)})


def _service_failure(error: ClientError) -> GatewayError:
    code = error.response["Error"]["Code"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if code == "ModelError":
        return _model_failure(error)
    if code == "DatabaseErrorException":
        return _database_failure(error)
    facts = {"error": code, "status": status, "operation": error.operation_name}
    if code == "StatementTimeoutException":
        return TimedOutError("the database did not finish in the time there is", facts)
    if status == _TOO_MANY_REQUESTS or status >= _SERVER_ERRORS or code in _PASSING_ERRORS:
        return UnavailableError("the service is busy, starting or out of order", facts)
    # What AWS says of a refused call names roles, actions and resources, and nothing of the payload.
    return MisconfiguredError(error.response["Error"].get("Message") or code, facts)


def _model_failure(error: ClientError) -> GatewayError:
    """Judge by what the model's container answered; what it said may quote a text, so it is not for the log."""
    response: dict[str, object] = dict(error.response)
    status = response.get("OriginalStatusCode")
    facts = {"error": "ModelError", "model_status": status, "log_stream_arn": response.get("LogStreamArn")}
    if isinstance(status, int) and (status == _TOO_MANY_REQUESTS or status >= _SERVER_ERRORS):
        return UnavailableError("the model failed: its own log says why", facts)
    if status == _NO_STATUS:
        return TimedOutError("the model did not answer in time", facts)
    message = "the model refused the texts"
    return RejectedError(message, facts, cause=f"{message}: {response.get('OriginalMessage')}")


def _database_failure(error: ClientError) -> GatewayError:
    """Judge by PostgreSQL's error code; what it said may quote a value, so it is not for the log."""
    said = error.response["Error"]["Message"]
    found = re.search(r"SQLState: (\w{5})", said)
    state = found[1] if found else ""
    facts = {"error": "DatabaseErrorException", "sql_state": state, "operation": error.operation_name}
    if state[:2] in _PASSING_SQL_STATES:
        return UnavailableError("the database is busy or restarting", facts)
    message = "the database refused the statement"
    return RejectedError(message, facts, cause=f"{message}: {said}")
