"""A model's data as its stack knows it: where it lies, and what a role has to be allowed to read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from sm_constructs.model.images import Image


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Location:
    """One object, or all objects whose key begins with a prefix.

    Args:
        bucket: The bucket.
        key: The object's key, or the prefix, which ends in a slash.
        is_prefix: Whether it is a prefix.
    """

    bucket: s3.IBucket
    key: str
    is_prefix: bool = False

    @property
    def url(self) -> str:
        """The ``s3://`` URL."""
        return self.bucket.s3_url_for_object(self.key)

    def grant_read(self, grantee: iam.IGrantable) -> Iterator[iam.Grant]:
        """Allow to read exactly this, to list the prefix, and to decrypt it with the bucket's key."""
        yield iam.Grant.add_to_principal_or_resource(
            grantee=grantee,
            actions=["s3:GetObject"],
            resource_arns=[self.bucket.arn_for_objects(f"{self.key}*" if self.is_prefix else self.key)],
            resource=self.bucket,
        )
        if self.is_prefix:
            yield iam.Grant.add_to_principal_or_resource(
                grantee=grantee,
                actions=["s3:ListBucket"],
                resource_arns=[self.bucket.bucket_arn],
                resource=self.bucket,
                conditions={"StringLike": {"s3:prefix": [f"{self.key}*"]}},
            )
        if self.bucket.encryption_key:
            yield self.bucket.encryption_key.grant_decrypt(grantee)


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundData:
    """What a container's definition says of its data.

    Args:
        identity: Which data it is, known at synth even where its place is not.
        location: What the role reads. None where there is nothing to read for it.
        replacements: What the role reads instead once the data is replaced at run time.
        model_data_url: The URL of an archive, or of the prefix of many archives.
        model_data_source: The place of data that is no archive.
        model_package_name: The registered package that says what the data and the image are.
        package_image: The image that the package says, which the role has to pull.
        multi_model_config: How archives are cached, where there are many.
    """

    identity: str
    location: S3Location | None
    replacements: S3Location | None = None
    model_data_url: str | None = None
    model_data_source: sagemaker.CfnModel.ModelDataSourceProperty | None = None
    model_package_name: str | None = None
    package_image: Image | None = None
    multi_model_config: sagemaker.CfnModel.MultiModelConfigProperty | None = None

    @classmethod
    def archive(cls, location: S3Location, *, identity: str) -> BoundData:
        """Return the data of one ``model.tar.gz``."""
        return cls(identity=identity, location=location, model_data_url=location.url)

    def grant_read(self, scope: Construct, grantee: iam.IGrantable) -> Iterator[iam.Grant]:
        """Allow to read exactly this data, and to pull the image of the package."""
        if self.location:
            yield from self.location.grant_read(grantee)
        if self.replacements:
            yield from self.replacements.grant_read(grantee)
        if self.package_image:
            yield self.package_image.grant_pull(scope, grantee)
