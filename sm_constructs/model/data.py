"""Where a model's archive comes from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from aws_cdk import AssetHashType, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from sm_constructs import _archive
from sm_constructs.model.required_file import RequiredFile, missing_files


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelObject:
    """A model's archive as the stack knows it.

    Args:
        bucket: The bucket it lies in.
        key: Its object key.
        identity: Which object it is, known at synth even where the key is not.
    """

    bucket: s3.IBucket
    key: str
    identity: str

    @property
    def url(self) -> str:
        """The ``s3://`` URL."""
        return self.bucket.s3_url_for_object(self.key)

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to read exactly this object, and to decrypt it with the bucket's key."""
        grant = iam.Grant.add_to_principal_or_resource(
            grantee=grantee,
            actions=["s3:GetObject"],
            resource_arns=[self.bucket.arn_for_objects(self.key)],
            resource=self.bucket,
        )
        key = self.bucket.encryption_key
        return grant.combine(key.grant_decrypt(grantee)) if key else grant


class ModelData(ABC):
    """Where a model's ``model.tar.gz`` comes from. Make one with one of the ``from_`` methods."""

    @staticmethod
    def from_directory(path: str | Path, *, exclude: Sequence[str] = ()) -> ModelData:
        """Return a directory's contents as a ``model.tar.gz`` that CDK uploads.

        The archive depends on the names and contents of the files alone: the same directory gives the same
        asset on every machine.

        Args:
            path: The directory; what lies in it stands at the archive's root, ``code/`` among it.
            exclude: Shell patterns of names and paths to leave out. When omitted: only ``__pycache__`` and the like.

        >>> data = ModelData.from_directory(".build/model", exclude=["*.md"])
        """
        return _Directory(path=Path(path), exclude=tuple(exclude))

    @staticmethod
    def from_bucket(bucket: s3.IBucket, key: str) -> ModelData:
        """Return an archive that lies in a bucket already.

        Args:
            bucket: The bucket, in the region of the model.
            key: The object's key, which ends in ``.tar.gz``. Another model needs another key, since SageMaker
                reads the object whenever an instance starts.

        >>> data = ModelData.from_bucket(bucket, "models/2024-06-01/model.tar.gz")
        """
        return _BucketObject(bucket=bucket, object_key=key)

    @abstractmethod
    def problems(self, required_files: Sequence[str | RequiredFile]) -> list[str]:
        """Return what is wrong with the data for a framework that needs these files."""

    @abstractmethod
    def bind(self, scope: Construct) -> ModelObject:
        """Define what the data needs under ``scope`` and return the object."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Directory(ModelData):
    path: Path
    exclude: tuple[str, ...]

    def problems(self, required_files: Sequence[str | RequiredFile]) -> list[str]:
        if not self.path.is_dir():
            return [
                f"model directory '{self.path}' does not exist: train a model with 'python model_src/train.py' and "
                f"package it with 'python model_src/package.py <model> {self.path}', or pass another directory"
            ]
        try:
            entries = self._entries()
        except ValueError as error:
            return [f"model directory '{self.path}': {error}"]
        if not entries:
            return [f"model directory '{self.path}' is empty"]
        missing = missing_files(required_files, entries)
        return [f"model directory '{self.path}' has no {name}, which the framework needs" for name in missing]

    def bind(self, scope: Construct) -> ModelObject:
        entries = self._entries()
        fingerprint = _archive.fingerprint(entries)
        with TemporaryDirectory() as directory:
            archive = Path(directory) / "model.tar.gz"
            _archive.write_tar_gz(entries, archive)
            asset = s3_assets.Asset(
                scope,
                "Data",
                path=str(archive),
                asset_hash=fingerprint,
                asset_hash_type=AssetHashType.CUSTOM,
            )
        return ModelObject(bucket=asset.bucket, key=asset.s3_object_key, identity=fingerprint)

    def _entries(self) -> dict[str, Path]:
        return _archive.collect(self.path, exclude=self.exclude)


@dataclass(frozen=True, kw_only=True, slots=True)
class _BucketObject(ModelData):
    bucket: s3.IBucket
    object_key: str

    def problems(self, required_files: Sequence[str | RequiredFile]) -> list[str]:  # noqa: ARG002 - not known at synth
        if Token.is_unresolved(self.object_key) or self.object_key.endswith(".tar.gz"):
            return []
        return [f"key is '{self.object_key}': SageMaker takes a gzipped tar archive: use a key ending in .tar.gz"]

    def bind(self, scope: Construct) -> ModelObject:  # noqa: ARG002 - nothing to define
        name = "" if Token.is_unresolved(self.object_key) else self.object_key
        return ModelObject(bucket=self.bucket, key=self.object_key, identity=f"{self.bucket.node.path}/{name}")
