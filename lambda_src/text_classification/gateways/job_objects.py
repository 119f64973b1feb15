"""Requests that are too large for the table, and the results of jobs, as objects in S3."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from botocore.exceptions import ClientError

from text_classification.gateways.calls import TimeBudget, call_service, failing_as_a_call
from text_classification.gateways.errors import UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK_BYTES = 1024 * 1024  # by botocore's 1 KB, a line of some MB takes minutes
_EXISTS = "PreconditionFailed"
_BEING_WRITTEN = "ConditionalRequestConflict"


@dataclass(frozen=True, kw_only=True, slots=True)
class JobObjects:
    """The objects of jobs.

    Args:
        client: Made with ``budget.client_config()``.
        bucket: The bucket.
        budget: How long a call may take, repetitions included.
    """

    client: S3Client
    bucket: str
    budget: TimeBudget

    def read(self, key: str) -> bytes:
        """Return an object. Raises GatewayError."""

        def get() -> bytes:
            return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

        return call_service(get, self.budget)

    def exists(self, key: str) -> bool:
        """Return whether there is an object. Raises GatewayError.

        By a list, which takes the permission to list; whoever lacks that is told 403 of an object that is not there.
        """
        found = call_service(
            lambda: self.client.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1), self.budget
        )
        return any(each["Key"] == key for each in found.get("Contents", []))

    def lines(self, key: str, etag: str, *, longest_bytes: int) -> Iterator[bytes | None]:
        """Yield the lines of an object, read bit by bit; None for one that is longer than that.

        Raises:
            GatewayError: It cannot be read, or is no longer the one with this ETag.
        """
        # S3 tells the ETag in quotes, events without.
        tag = etag.strip('"')
        body = call_service(
            lambda: self.client.get_object(Bucket=self.bucket, Key=key, IfMatch=f'"{tag}"'), self.budget
        )["Body"]
        with failing_as_a_call():
            yield from lines_in(body.iter_chunks(_CHUNK_BYTES), longest_bytes=longest_bytes)

    def write(self, key: str, body: bytes | IO[bytes], *, content_type: str = "application/json") -> None:
        """Write an object, of bytes or of a whole file, over one that may be there. Raises GatewayError."""

        def put() -> None:
            if not isinstance(body, bytes):
                body.seek(0)
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type)

        call_service(put, self.budget)

    def write_once(self, key: str, body: bytes) -> bytes:
        """Write an object unless there is one, and return what is there afterwards. Raises GatewayError."""

        def put() -> bool:
            try:
                self.client.put_object(
                    Bucket=self.bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
                )
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == _EXISTS:
                    return False
                if code == _BEING_WRITTEN:
                    # By somebody who may fail, so that there is none afterwards.
                    raise UnavailableError("another call is writing the object", {"error": code}) from error
                raise
            return True

        return body if call_service(put, self.budget) else self.read(key)


def lines_in(chunks: Iterable[bytes], *, longest_bytes: int) -> Iterator[bytes | None]:
    r"""Yield the lines in chunks of text, without their ends; None for one that is longer than that.

    Of such a line no more is kept in memory than the longest one has, and a chunk.

    >>> list(lines_in([b"a\nb", b"c\n\nmuch ", b"too long\nd"], longest_bytes=4))
    [b'a', b'bc', b'', None, b'd']
    """
    line = bytearray()
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for end in ended:
            line += end
            yield bytes(line) if len(line) <= longest_bytes else None
            line.clear()
        line += rest
        del line[longest_bytes + 1 :]
    if line:
        yield bytes(line) if len(line) <= longest_bytes else None
