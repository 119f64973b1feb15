"""The files of a model: where they are in S3, and how they get into a container."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from sm_local.sagemaker.archive import unpack
from sm_local.sagemaker.errors import invalid
from sm_local.sagemaker.role import SERVICE, AssumedRole
from sm_local.state import REGION


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket and a key or prefix.

    >>> S3Location.parse("s3://models/reviews/model.tar.gz")
    S3Location(bucket='models', key='reviews/model.tar.gz')
    """

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> S3Location:
        """Return the location that ``s3://bucket/key`` names."""
        parts = urlsplit(uri)
        return cls(parts.netloc, parts.path.lstrip("/"))

    def below(self, name: str) -> S3Location:
        """Return a location under this prefix."""
        return S3Location(self.bucket, f"{self.key.rstrip('/')}/{name}".lstrip("/"))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelData:
    """Where a container's model is.

    Args:
        location: An archive, an object or a prefix.
        compressed: Whether it is a ``.tar.gz`` archive.
        prefix: Whether all objects below the location are meant.
    """

    location: S3Location
    compressed: bool = True
    prefix: bool = False

    def check_readable(self, role: AssumedRole) -> None:
        """Raise what `CreateModel` answers when the role cannot read the model.

        Raises:
            SageMakerError: It cannot, or nothing is there.
        """
        try:
            if not self.prefix:
                role.s3.head_object(Bucket=self.location.bucket, Key=self.location.key)
            else:
                role.s3.list_objects_v2(Bucket=self.location.bucket, Prefix=self.location.key, MaxKeys=1)
        except ClientError as error:
            raise invalid(
                f"Could not access model data at {self.location}. Please ensure that the role "
                f'"{role.arn}" exists and that its trust relationship policy allows the action "sts:AssumeRole" '
                f'for the service principal "{SERVICE}". Also ensure that the role has "s3:GetObject" '
                f"permissions and that the object is located in {REGION}. ({error})"
            ) from error

    def fetch(self, role: AssumedRole, directory: Path) -> None:
        """Put the model's files into a directory, which is made.

        Raises:
            SageMakerError: They cannot be read or unpacked.
        """
        directory.mkdir(parents=True, exist_ok=True)
        try:
            if self.prefix:
                self._fetch_prefix(role, directory)
            elif self.compressed:
                self._fetch_archive(role, directory)
            else:
                name = PurePosixPath(self.location.key).name
                role.s3.download_file(self.location.bucket, self.location.key, str(directory / name))
        except ClientError as error:
            raise invalid(f"Could not download model data from {self.location}: {error}") from error
        except (tarfile.TarError, OSError, EOFError) as error:
            raise invalid(f"Failed to extract model data archive from URL {self.location}: {error}") from error

    def _fetch_archive(self, role: AssumedRole, directory: Path) -> None:
        archive = directory.with_suffix(".tar.gz")
        role.s3.download_file(self.location.bucket, self.location.key, str(archive))
        unpack(archive, directory)
        archive.unlink()

    def _fetch_prefix(self, role: AssumedRole, directory: Path) -> None:
        pages = role.s3.get_paginator("list_objects_v2").paginate(Bucket=self.location.bucket, Prefix=self.location.key)
        for key in [entry["Key"] for page in pages for entry in page.get("Contents", ())]:
            if key.endswith("/"):
                continue
            path = (directory / key.removeprefix(self.location.key)).resolve()
            if not path.is_relative_to(directory.resolve()):
                raise OSError(f"{key} would be written outside of the model's directory")
            path.parent.mkdir(parents=True, exist_ok=True)
            role.s3.download_file(self.location.bucket, key, str(path))
