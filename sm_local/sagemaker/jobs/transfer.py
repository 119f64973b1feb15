"""What a job reads from S3 and writes there, with the permissions of its role."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sm_local.sagemaker.jobs.job import JobFailedError
from sm_local.sagemaker.model_data import S3Location
from sm_local.sagemaker.role import AssumedRole


@dataclass(frozen=True, slots=True)
class InputObject:
    """An object, and the name that it gets where it is wanted."""

    location: S3Location
    name: str


def objects(role: AssumedRole, kind: str, uri: str) -> list[InputObject]:
    """Return the objects that ``S3Prefix`` or ``ManifestFile`` stand for, by key.

    Raises:
        JobFailedError: There are none, or they cannot be listed.
    """
    where = S3Location.parse(uri)
    try:
        found = list(_of_manifest(role, where) if kind == "ManifestFile" else _below(role, where))
    except (ClientError, ValueError, TypeError, KeyError) as error:
        raise JobFailedError(f"ClientError: Data download failed: {uri}: {error}") from error
    if not found:
        raise JobFailedError(
            f"ClientError: Data download failed: No S3 objects found under S3 URL {uri!r} given in input data source. "
            "Please ensure that the bucket exists in the selected region, that objects exist under that S3 prefix, and "
            "that the role has s3:ListBucket permission on it."
        )
    return found


def download(role: AssumedRole, wanted: Iterable[InputObject], directory: Path) -> None:
    """Put objects into a directory, which is made.

    Raises:
        JobFailedError: One cannot be read.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for one in wanted:
        path = (directory / one.name).resolve()
        if not path.is_relative_to(directory.resolve()):
            raise JobFailedError(f"ClientError: Data download failed: {one.location} is outside of the channel")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            role.s3.download_file(one.location.bucket, one.location.key, str(path))
        except ClientError as error:
            raise JobFailedError(f"ClientError: Data download failed: {one.location}: {error}") from error


def upload_file(role: AssumedRole, path: Path, where: S3Location, *, kms_key_id: str | None = None) -> None:
    """Write a file.

    Raises:
        JobFailedError: The role may not.
    """
    _upload(role, path.read_bytes(), where, kms_key_id)


def upload_directory(role: AssumedRole, directory: Path, where: S3Location, *, kms_key_id: str | None = None) -> None:
    """Write all files of a directory below a prefix.

    Raises:
        JobFailedError: The role may not.
    """
    for path in _files(directory):
        upload_file(role, path, where.below(path.relative_to(directory).as_posix()), kms_key_id=kms_key_id)


def upload_archive(
    role: AssumedRole, directories: Iterable[Path], where: S3Location, *, kms_key_id: str | None = None
) -> bool:
    """Write a ``.tar.gz`` of all that is in some directories, and return whether there was anything.

    Of files with the same name in several directories the first wins.

    Raises:
        JobFailedError: The role may not.
    """
    files: dict[str, Path] = {}
    for directory in directories:
        for path in _files(directory):
            files.setdefault(path.relative_to(directory).as_posix(), path)
    if not files:
        return False
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for name, path in sorted(files.items()):
            tar.add(path, name)
    _upload(role, buffer.getvalue(), where, kms_key_id)
    return True


@dataclass(slots=True)
class Mirror:
    """A directory whose files are kept in S3, as they change.

    Args:
        role: Reads and writes.
        directory: The directory, which is made.
        where: The prefix.
    """

    role: AssumedRole
    directory: Path
    where: S3Location
    _seen: dict[Path, tuple[float, int]] = field(default_factory=dict)

    def restore(self) -> None:
        """Fetch what is in S3, if anything is. Raises JobFailedError when the role may not."""
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            found = list(_below(self.role, self.where))
        except ClientError as error:
            raise JobFailedError(f"ClientError: Checkpoint download failed: {self.where}: {error}") from error
        download(self.role, found, self.directory)
        self._seen = {path: _state(path) for path in _files(self.directory)}

    def upload(self) -> None:
        """Write what has changed. Raises JobFailedError when the role may not."""
        for path in _files(self.directory):
            try:
                state = _state(path)
                if self._seen.get(path) == state:
                    continue
                upload_file(self.role, path, self.where.below(path.relative_to(self.directory).as_posix()))
            except FileNotFoundError:  # a temporary file, gone meanwhile
                continue
            self._seen[path] = state


def _upload(role: AssumedRole, body: bytes, where: S3Location, kms_key_id: str | None) -> None:
    encryption: Mapping[str, Any] = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id} if kms_key_id else {}
    try:
        role.s3.put_object(Bucket=where.bucket, Key=where.key, Body=body, **encryption)
    except ClientError as error:
        raise JobFailedError(f"ClientError: Data upload failed: {where}: {error}") from error


def _below(role: AssumedRole, where: S3Location) -> Iterator[InputObject]:
    """Yield what is below a prefix, by key."""
    pages = role.s3.get_paginator("list_objects_v2").paginate(Bucket=where.bucket, Prefix=where.key)
    for key in [entry["Key"] for page in pages for entry in page.get("Contents", ())]:
        if not key.endswith("/"):
            yield InputObject(S3Location(where.bucket, key), name_below(where.key, key))


def name_below(prefix: str, key: str) -> str:
    """Return where the object of a key is put that was found by a prefix.

    >>> [name_below("data/train", key) for key in ("data/train/zh/a.jsonl", "data/train", "data/train-2/a.jsonl")]
    ['zh/a.jsonl', 'train', 'train-2/a.jsonl']
    """
    directory = prefix if prefix.endswith("/") or key.startswith(f"{prefix}/") else prefix[: prefix.rfind("/") + 1]
    return key.removeprefix(directory).lstrip("/")


def _of_manifest(role: AssumedRole, where: S3Location) -> Iterator[InputObject]:
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html."""
    body = role.s3.get_object(Bucket=where.bucket, Key=where.key)["Body"].read()
    first, *names = json.loads(body)
    prefix = S3Location.parse(first["prefix"])
    for name in names:
        yield InputObject(S3Location(prefix.bucket, f"{prefix.key}{name}"), name)


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file()) if directory.is_dir() else []


def _state(path: Path) -> tuple[float, int]:
    status = path.stat()
    return status.st_mtime, status.st_size
