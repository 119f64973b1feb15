"""The bucket that holds data sets, models and results."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactPrefix:
    """One part of an :class:`ArtifactStore`: the objects whose keys begin with ``prefix``.

    Args:
        bucket: The bucket.
        prefix: What the keys begin with; ends in a slash.
        encryption_key: The key that the objects are encrypted with. When omitted: S3's own.
    """

    bucket: s3.IBucket
    prefix: str
    encryption_key: kms.IKey | None = None

    def key(self, name: str) -> str:
        """Return the object key of ``name`` under this prefix."""
        return f"{self.prefix}{name}"

    def url(self, name: str = "") -> str:
        """Return the ``s3://`` URL of ``name``, or of the prefix itself when omitted."""
        return self.bucket.s3_url_for_object(self.key(name))

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to list and read the objects under this prefix and to decrypt them."""
        grant = self._grant(grantee, "s3:GetObject").combine(self._grant_list(grantee))
        return grant.combine(self.encryption_key.grant_decrypt(grantee)) if self.encryption_key else grant

    def grant_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to write objects under this prefix and to encrypt them, but not to read or delete any."""
        grant = self._grant(grantee, "s3:PutObject", "s3:AbortMultipartUpload")
        if not self.encryption_key:
            return grant
        # S3 decrypts the parts of a multipart upload when it puts them together.
        return grant.combine(self.encryption_key.grant_encrypt_decrypt(grantee))

    def grant_read_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow what :meth:`grant_read` and :meth:`grant_write` allow."""
        return self.grant_read(grantee).combine(self.grant_write(grantee))

    def _grant(self, grantee: iam.IGrantable, *actions: str) -> iam.Grant:
        return iam.Grant.add_to_principal_or_resource(
            grantee=grantee,
            actions=list(actions),
            resource_arns=[self.bucket.arn_for_objects(f"{self.prefix}*")],
            resource=self.bucket,
        )

    def _grant_list(self, grantee: iam.IGrantable) -> iam.Grant:
        return iam.Grant.add_to_principal_or_resource(
            grantee=grantee,
            actions=["s3:ListBucket"],
            resource_arns=[self.bucket.bucket_arn],
            resource=self.bucket,
            conditions={"StringLike": {"s3:prefix": [f"{self.prefix}*"]}},
        )


class ArtifactStore(Construct):
    """Define the bucket for data sets, models and results, and one for its access logs.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        bucket: An existing bucket to use instead. When omitted: a bucket that is versioned, encrypted, private
            and reachable over TLS 1.2 or newer only.
        access_logs_bucket: The bucket that access logs go to. When omitted: one is made, unless ``bucket`` is
            handed in, whose logging is its owner's concern.
        encryption_key: The KMS key for the objects. When omitted: keys that S3 manages (SSE-S3).
        removal_policy: What happens to the buckets when the stack is deleted. When omitted: they are kept.
        noncurrent_version_expiration: How long overwritten and deleted objects can be brought back. When
            omitted: 90 days.
        access_log_expiration: How long access logs are kept. When omitted: 365 days.

    Attributes:
        bucket: The bucket.
        access_logs_bucket: The bucket with the access logs; None when ``bucket`` was handed in alone.
        encryption_key: The key that was handed in.
        datasets: What lies under ``datasets/``.
        models: What lies under ``models/``.
        results: What lies under ``results/``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bucket: s3.IBucket | None = None,
        access_logs_bucket: s3.IBucket | None = None,
        encryption_key: kms.IKey | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        noncurrent_version_expiration: Duration | None = None,
        access_log_expiration: Duration | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        # Without this flag CDK lets S3 write the logs by ACL, which buckets no longer have.
        self.node.set_context("@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy", True)
        self.encryption_key = encryption_key
        self.access_logs_bucket: s3.IBucket | None = access_logs_bucket
        if bucket is None and access_logs_bucket is None:
            self.access_logs_bucket = self._access_logs_bucket(removal_policy, access_log_expiration)
        self.bucket: s3.IBucket = bucket or self._bucket(removal_policy, noncurrent_version_expiration)
        self.datasets = self._prefix("datasets/")
        self.models = self._prefix("models/")
        self.results = self._prefix("results/")

    def _prefix(self, prefix: str) -> ArtifactPrefix:
        return ArtifactPrefix(bucket=self.bucket, prefix=prefix, encryption_key=self.encryption_key)

    def _bucket(self, removal_policy: RemovalPolicy, noncurrent: Duration | None) -> s3.Bucket:
        return s3.Bucket(
            self,
            "Bucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            bucket_key_enabled=True if self.encryption_key else None,
            encryption=s3.BucketEncryption.KMS if self.encryption_key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=self.encryption_key,
            enforce_ssl=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="Housekeeping",
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                    expired_object_delete_marker=True,
                    noncurrent_version_expiration=noncurrent or Duration.days(90),
                )
            ],
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=removal_policy,
            server_access_logs_bucket=self.access_logs_bucket,
            server_access_logs_prefix=f"{Stack.of(self).stack_name}/",
            versioned=True,
        )

    def _access_logs_bucket(self, removal_policy: RemovalPolicy, expiration: Duration | None) -> s3.Bucket:
        # S3 delivers access logs to buckets with SSE-S3 only, so the key handed in cannot encrypt them.
        return s3.Bucket(
            self,
            "AccessLogsBucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="Housekeeping",
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                    expiration=expiration or Duration.days(365),
                    noncurrent_version_expiration=Duration.days(1),
                )
            ],
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=removal_policy,
            versioned=True,
        )
