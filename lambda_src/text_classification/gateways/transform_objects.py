"""The files of transforms, in S3: inputs, results, and what lies between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from text_classification.gateways.calls import TimeBudget, call_service
from text_classification.gateways.datasets import S3Datasets

_MADE_OF = "made-of"  # as metadata
_THREADS = 10  # as many as botocore keeps connections


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """An object as a list shows it.

    Args:
        key: Its key.
        size: In bytes.
        etag: Tells its content from another.
    """

    key: str
    size: int
    etag: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformObjects:
    """The objects of a bucket.

    Args:
        client: Of S3, made with ``budget.client_config()``.
        bucket: The bucket's name.
        budget: How long a call may take, repetitions included.
    """

    client: Any
    bucket: str
    budget: TimeBudget

    @property
    def datasets(self) -> S3Datasets:
        """The same objects, to be read and written bit by bit."""
        return S3Datasets(client=self.client, bucket=self.bucket, budget=self.budget)

    def found(self, prefix: str) -> Iterator[StoredFile]:
        """Yield the objects whose keys begin with ``prefix``, in the order of the keys. Raises GatewayError."""
        for each in self.datasets.listed(prefix):
            yield StoredFile(key=each["Key"], size=each["Size"], etag=each["ETag"].strip('"'))

    def etag(self, key: str) -> str | None:
        """Return what tells an object's content from another; None without such an object. Raises GatewayError."""
        return next((each.etag for each in self.found(key) if each.key == key), None)

    def copy(self, source: str, target: str, *, made_of: str) -> None:
        """Copy an object of any size within S3; the target is there as a whole or not at all. Raises GatewayError.

        Args:
            source: The object.
            target: Its copy's key.
            made_of: The ETag that the copy remembers, see :meth:`made_of`.
        """
        origin = {"Bucket": self.bucket, "Key": source}
        arguments = {"Metadata": {_MADE_OF: made_of}, "MetadataDirective": "REPLACE"}
        call_service(lambda: self.client.copy(origin, self.bucket, target, ExtraArgs=arguments), self.budget)

    def write_empty(self, key: str, *, made_of: str) -> None:
        """Write an object with nothing in it, that remembers an ETag. Raises GatewayError."""
        metadata = {_MADE_OF: made_of}
        call_service(
            lambda: self.client.put_object(Bucket=self.bucket, Key=key, Body=b"", Metadata=metadata), self.budget
        )

    def made_of(self, keys: Iterable[str]) -> dict[str, str | None]:
        """Return for each of some objects the ETag of what it was made of; None where it does not remember any.

        Raises:
            GatewayError: One is not there, or not to be read.
        """

        def remembered(key: str) -> tuple[str, str | None]:
            head = call_service(lambda: self.client.head_object(Bucket=self.bucket, Key=key), self.budget)
            return key, head["Metadata"].get(_MADE_OF)

        with ThreadPoolExecutor(_THREADS) as threads:
            return dict(threads.map(remembered, keys))

    def delete(self, key: str) -> None:
        """Delete an object, if there is one. Raises GatewayError."""
        call_service(lambda: self.client.delete_object(Bucket=self.bucket, Key=key), self.budget)
