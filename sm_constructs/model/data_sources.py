"""The places that a model's data comes from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from aws_cdk import AssetHashType, Token
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as s3_assets
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from sm_constructs import _archive
from sm_constructs.model.bound_data import BoundData, S3Location
from sm_constructs.model.data import ModelData
from sm_constructs.model.framework import Framework
from sm_constructs.model.required_file import RequiredFile, missing_files

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html
_PACKAGE = re.compile(
    r"(arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:model-package/)?[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}(/[0-9]{1,9})?"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory(ModelData):
    """A directory, which becomes an archive."""

    path: Path
    exclude: tuple[str, ...]

    def problems(self, scope: Construct, required_files: Sequence[str | RequiredFile]) -> list[str]:  # noqa: ARG002
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

    def bind(self, scope: Construct) -> BoundData:
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
        return BoundData.archive(S3Location(bucket=asset.bucket, key=asset.s3_object_key), identity=fingerprint)

    def _entries(self) -> dict[str, Path]:
        return _archive.collect(self.path, exclude=self.exclude)


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketObject(ModelData):
    """An archive in a bucket."""

    bucket: s3.IBucket
    object_key: str

    def problems(self, scope: Construct, required_files: Sequence[str | RequiredFile]) -> list[str]:  # noqa: ARG002
        if Token.is_unresolved(self.object_key) or self.object_key.endswith(".tar.gz"):
            return []
        return [f"key is '{self.object_key}': SageMaker takes a gzipped tar archive: use a key ending in .tar.gz"]

    def bind(self, scope: Construct) -> BoundData:  # noqa: ARG002 - nothing to define
        location = S3Location(bucket=self.bucket, key=self.object_key)
        return BoundData.archive(location, identity=_identity(self.bucket, self.object_key))


@dataclass(frozen=True, kw_only=True, slots=True)
class Prefix(ModelData):
    """Files under a prefix, which are no archive."""

    bucket: s3.IBucket
    prefix: str

    @property
    def is_uncompressed(self) -> bool:
        return True

    def problems(self, scope: Construct, required_files: Sequence[str | RequiredFile]) -> list[str]:  # noqa: ARG002
        return _prefix_problems(self.prefix)

    def bind(self, scope: Construct) -> BoundData:  # noqa: ARG002 - nothing to define
        location = S3Location(bucket=self.bucket, key=self.prefix, is_prefix=True)
        return BoundData(
            identity=_identity(self.bucket, self.prefix),
            location=location,
            model_data_source=sagemaker.CfnModel.ModelDataSourceProperty(
                s3_data_source=sagemaker.CfnModel.S3DataSourceProperty(
                    compression_type="None", s3_data_type="S3Prefix", s3_uri=location.url
                )
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MultiModel(ModelData):
    """Many archives under a prefix."""

    is_multi_model: ClassVar[bool] = True
    bucket: s3.IBucket
    prefix: str
    cache_models: bool

    def problems(self, scope: Construct, required_files: Sequence[str | RequiredFile]) -> list[str]:  # noqa: ARG002
        return _prefix_problems(self.prefix)

    def bind(self, scope: Construct) -> BoundData:  # noqa: ARG002 - nothing to define
        location = S3Location(bucket=self.bucket, key=self.prefix, is_prefix=True)
        return BoundData(
            identity=_identity(self.bucket, self.prefix),
            location=location,
            model_data_url=location.url,
            multi_model_config=sagemaker.CfnModel.MultiModelConfigProperty(
                model_cache_setting="Enabled" if self.cache_models else "Disabled"
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Package(ModelData):
    """A version of a model in the registry."""

    is_package: ClassVar[bool] = True
    package_arn: str
    archive: ModelData | None
    framework: Framework | None

    @property
    def is_uncompressed(self) -> bool:
        return self.archive is not None and self.archive.is_uncompressed

    def problems(self, scope: Construct, required_files: Sequence[str | RequiredFile]) -> list[str]:  # noqa: ARG002
        found = []
        if not Token.is_unresolved(self.package_arn) and not _PACKAGE.fullmatch(self.package_arn):
            found.append(
                f"package_arn is '{self.package_arn}': must be the ARN or the name of a model package, such as "
                "arn:aws:sagemaker:<region>:<account>:model-package/<group>/<version>"
            )
        if self.archive:
            found.extend(self.archive.problems(scope, ()))
            if self.archive.is_package or self.archive.is_multi_model:
                found.append("archive of a model package: say where its data lies: from_bucket or from_prefix")
        if self.framework:
            found.extend(self.framework.image.problems(scope))
        return found

    def bind(self, scope: Construct) -> BoundData:
        return BoundData(
            identity="" if Token.is_unresolved(self.package_arn) else self.package_arn,
            location=self.archive.bind(scope).location if self.archive else None,
            model_package_name=self.package_arn,
            package_image=self.framework.image if self.framework else None,
        )


def _prefix_problems(prefix: str) -> list[str]:
    if Token.is_unresolved(prefix) or (prefix.endswith("/") and not prefix.startswith("/")):
        return []
    return [f"prefix is '{prefix}': must name a part of the bucket: end it in a slash, and do not begin it with one"]


def _identity(bucket: s3.IBucket, key: str) -> str:
    return f"{bucket.node.path}/{'' if Token.is_unresolved(key) else key}"
