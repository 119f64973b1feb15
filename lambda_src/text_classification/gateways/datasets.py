"""Data sets in S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError

from text_classification.gateways.calls import TimeBudget, call_service

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

_UPLOAD_BYTES = 8 * 1024 * 1024
"""What is gathered before it is sent; S3 takes 10,000 parts, of at least 5 MB each but for the last one:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
"""


class Datasets(Protocol):
    """Objects by their keys."""

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield key and size in bytes of each object whose key begins with ``prefix``. Raises GatewayError."""
        ...

    def read(self, key: str, start: int, end: int) -> bytes:
        """Return the bytes of an object from a position to another, or to its end. Raises GatewayError."""
        ...

    def content(self, key: str) -> bytes | None:
        """Return an object, or None if there is none. Raises GatewayError."""
        ...

    def write(self, key: str, content: bytes) -> None:
        """Write an object, over what is there. Raises GatewayError."""
        ...

    def create(self, key: str) -> AbstractContextManager[Callable[[bytes], None]]:
        """Return what writes an object bit by bit; it is there when the context has ended. Raises GatewayError."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Datasets:
    """Objects of a bucket.

    Args:
        client: Made with ``budget.client_config()``.
        bucket: The bucket's name.
        budget: How long a call may take, repetitions included.
    """

    client: S3Client
    bucket: str
    budget: TimeBudget

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield key and size in bytes of each object whose key begins with ``prefix``, in the order of the keys."""
        yield from ((found["Key"], found["Size"]) for found in self.listed(prefix))

    def listed(self, prefix: str) -> Iterator[ObjectTypeDef]:
        """Yield what S3's list says of each object whose key begins with ``prefix``. Raises GatewayError."""
        token: dict[str, str] = {}
        while True:
            page = call_service(
                lambda: self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, **token),  # type: ignore[arg-type]  # noqa: B023
                self.budget,
            )
            yield from page.get("Contents", ())
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def read(self, key: str, start: int, end: int) -> bytes:
        """Return the bytes of an object from a position to another, or to its end."""
        return call_service(
            lambda: self._range(key, f"bytes={start}-{end - 1}"),
            self.budget,
        )

    def write(self, key: str, content: bytes) -> None:
        """Write an object, over what is there."""
        call_service(lambda: self.client.put_object(Bucket=self.bucket, Key=key, Body=content), self.budget)

    def content(self, key: str) -> bytes | None:
        """Return an object, or None if there is none.

        S3 says so only to those who may list the bucket, and else that they may not read: a MisconfiguredError.
        """

        def get() -> bytes | None:
            try:
                return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":
                    return None
                raise

        return call_service(get, self.budget)

    @contextmanager
    def create(self, key: str) -> Iterator[Callable[[bytes], None]]:
        """Return what writes an object bit by bit, of any size; it is there when the context has ended.

        After an exception nothing is written.
        """
        upload = _Upload(datasets=self, key=key)
        try:
            yield upload.write
        except BaseException:
            upload.abort()
            raise
        upload.complete()

    def _range(self, key: str, position: str) -> bytes:
        return self.client.get_object(Bucket=self.bucket, Key=key, Range=position)["Body"].read()


@dataclass(kw_only=True, slots=True)
class _Upload:
    """An object that is being written: by one call if it is small, else in parts."""

    datasets: S3Datasets
    key: str
    gathered: bytearray = field(default_factory=bytearray)
    upload_id: str | None = None
    tags: list[str] = field(default_factory=list)

    def write(self, content: bytes) -> None:
        self.gathered += content
        if len(self.gathered) >= _UPLOAD_BYTES:
            self._send()

    def complete(self) -> None:
        if self.upload_id is None:
            self.datasets.write(self.key, bytes(self.gathered))
            return
        if self.gathered:
            self._send()
        client, bucket, upload_id = self.datasets.client, self.datasets.bucket, self.upload_id
        parts = [{"ETag": tag, "PartNumber": number} for number, tag in enumerate(self.tags, start=1)]
        call_service(
            lambda: client.complete_multipart_upload(
                Bucket=bucket,
                Key=self.key,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item]
            ),
            self.datasets.budget,
        )

    def abort(self) -> None:
        if self.upload_id is not None:
            client, bucket, upload_id = self.datasets.client, self.datasets.bucket, self.upload_id
            call_service(
                lambda: client.abort_multipart_upload(Bucket=bucket, Key=self.key, UploadId=upload_id),
                self.datasets.budget,
            )

    def _send(self) -> None:
        client, bucket, body = self.datasets.client, self.datasets.bucket, bytes(self.gathered)
        if self.upload_id is None:
            self.upload_id = call_service(
                lambda: client.create_multipart_upload(Bucket=bucket, Key=self.key), self.datasets.budget
            )["UploadId"]
        upload_id, number = self.upload_id, len(self.tags) + 1
        sent = call_service(
            lambda: client.upload_part(Bucket=bucket, Key=self.key, UploadId=upload_id, PartNumber=number, Body=body),
            self.datasets.budget,
        )
        self.tags.append(sent["ETag"])
        self.gathered.clear()
