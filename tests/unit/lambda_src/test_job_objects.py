"""Objects of jobs: written once by whoever comes first, and read bit by bit."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.errors import TimedOutError, UnavailableError
from text_classification.gateways.job_objects import JobObjects


class Bucket:
    """Refuses to write an object, with the errors of S3, one after another."""

    def __init__(self, *codes: str) -> None:
        self.codes = list(codes)

    def put_object(self, **_: Any) -> None:
        if self.codes:
            code = self.codes.pop(0)
            response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 409}}
            raise ClientError(response, "PutObject")

    def get_object(self, **_: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(b"the first one's")}


def objects(client: Any) -> JobObjects:
    return JobObjects(client=client, bucket="results", budget=TimeBudget(total_seconds=10))


def test_what_is_there_is_not_written_again() -> None:
    assert objects(Bucket("PreconditionFailed")).write_once("a", b"mine") == b"the first one's"


def test_somebody_elses_writing_is_waited_for_as_it_may_fail() -> None:
    assert objects(Bucket("ConditionalRequestConflict")).write_once("a", b"mine") == b"mine"
    with pytest.raises(UnavailableError):
        objects(Bucket(*["ConditionalRequestConflict"] * 9)).write_once("a", b"mine")


def test_a_body_that_ends_in_the_middle_fails_as_a_call_does() -> None:
    class Body:
        def iter_chunks(self, _size: int) -> Iterator[bytes]:
            yield b"one\ntw"
            raise ReadTimeoutError(endpoint_url="https://s3")

    class Client:
        def get_object(self, **_: str) -> dict[str, Body]:
            return {"Body": Body()}

    lines = objects(Client()).lines("a", "etag", longest_bytes=10)
    assert next(lines) == b"one"
    with pytest.raises(TimedOutError):
        next(lines)
