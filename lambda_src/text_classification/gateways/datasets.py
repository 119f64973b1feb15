"""Data sets in S3."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from text_classification.gateways.calls import TimeBudget, call_service

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Datasets(Protocol):
    """Objects by their keys."""

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield key and size in bytes of each object whose key begins with ``prefix``. Raises GatewayError."""
        ...

    def read(self, key: str, start: int, end: int) -> bytes:
        """Return the bytes of an object from a position to another, or to its end. Raises GatewayError."""
        ...

    def write(self, key: str, content: bytes) -> None:
        """Write an object, over what is there. Raises GatewayError."""
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
        token: dict[str, str] = {}
        while True:
            page = call_service(
                lambda: self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, **token),  # type: ignore[arg-type]  # noqa: B023
                self.budget,
            )
            yield from ((found["Key"], found["Size"]) for found in page.get("Contents", ()))
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

    def _range(self, key: str, position: str) -> bytes:
        return self.client.get_object(Bucket=self.bucket, Key=key, Range=position)["Body"].read()
