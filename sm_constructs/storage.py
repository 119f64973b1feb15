"""The bucket that holds data sets, models and results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from sm_constructs._validation import Problems

_REQUESTS = "results/requests/"
_REQUEST_DAYS = 30
_JOBS = "jobs/"
_JOB_DAYS = 35  # longer than a job is remembered, unless told otherwise
_WORK = {"TrainingWork": "trainings/work/", "TransformWork": "transform/work/"}
_WORK_DAYS = 14  # longer than any execution works on it


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

    def under(self, name: str) -> ArtifactPrefix:
        """Return the part of this one whose keys go on with ``name``, which ends in a slash."""
        return ArtifactPrefix(bucket=self.bucket, prefix=self.key(name), encryption_key=self.encryption_key)

    def grant_get(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to read objects under this prefix whose keys are known, and to decrypt them, but not to list any."""
        grant = self._grant(grantee, "s3:GetObject")
        return grant.combine(self.encryption_key.grant_decrypt(grantee)) if self.encryption_key else grant

    def grant_put(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to write objects under this prefix in one piece each, and to encrypt them."""
        grant = self._grant(grantee, "s3:PutObject")
        if not self.encryption_key:
            return grant
        return grant.combine(self.encryption_key.grant(grantee, "kms:Decrypt", "kms:GenerateDataKey"))

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to list and read the objects under this prefix and to decrypt them."""
        grant = self._grant(grantee, "s3:GetObject").combine(self.grant_list(grantee))
        return grant.combine(self.encryption_key.grant_decrypt(grantee)) if self.encryption_key else grant

    def grant_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to write objects under this prefix and to encrypt them, but not to read or delete any."""
        grant = self._grant(grantee, "s3:PutObject", "s3:AbortMultipartUpload")
        if not self.encryption_key:
            return grant
        # Decrypt as well: S3 has to read the parts of a multipart upload to put them together.
        return grant.combine(self.encryption_key.grant(grantee, "kms:Decrypt", "kms:GenerateDataKey"))

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

    def grant_list(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to list the objects under this prefix, but not to read them."""
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
        bucket: An existing bucket to use. When omitted: one that is versioned, encrypted, private and reachable
            over TLS 1.2 or newer only, that moves what is not read to cheaper storage, and that tells EventBridge
            of new objects.
        access_logs_bucket: An existing bucket for the access logs. When omitted: one is made, unless ``bucket``
            is handed in, whose logging is its owner's concern.
        encryption_key: The KMS key for the objects. When omitted: the key that ``bucket`` says it has, else keys
            that S3 manages (SSE-S3).
        removal_policy: What happens to the buckets when the stack is deleted. When omitted: they are kept.
            ``DESTROY`` deletes them once they are empty; emptying them is left to you.
        noncurrent_version_expiration: How long overwritten and deleted objects can be brought back, a day or
            more. When omitted: 90 days.
        access_log_expiration: How long access logs are kept, a day or more. When omitted: 365 days.
        job_expiration: How long what is under ``jobs/`` is kept, a day or more; longer than the ``job_retention`` of a
            :class:`ClassificationQueue`. When omitted: 35 days.

    Attributes:
        bucket: The bucket.
        access_logs_bucket: The bucket with the access logs; None when ``bucket`` was handed in.
        encryption_key: The key for the objects; None when S3 manages it.
        job_expiration: How long what is under ``jobs/`` is kept; None when ``bucket`` was handed in.
        datasets: What lies under ``datasets/``.
        models: What lies under ``models/``.
        results: What lies under ``results/``.
        jobs: What lies under ``jobs/``: requests of jobs and files of them, for as long as ``job_expiration``.
        requests: What lies under ``results/requests/``: texts of requests, for 30 days, that feedback may refer to.
        trainings: What lies under ``trainings/``: what training workflows make on their way.
        transform: What lies under ``transform/``: files that batch transform labels, and the labelled ones.

    Raises:
        InvalidPropsError: Anything that is wrong with the arguments, all at once.

    >>> store = ArtifactStore(stack, "Artifacts", removal_policy=RemovalPolicy.DESTROY)
    >>> grant = store.datasets.grant_read(role)
    >>> store.results.key("2024/report.json")
    'results/2024/report.json'
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bucket: s3.IBucket | None = None,
        access_logs_bucket: s3.IBucket | None = None,
        encryption_key: kms.IKey | None = None,
        removal_policy: RemovalPolicy | None = None,
        noncurrent_version_expiration: Duration | None = None,
        access_log_expiration: Duration | None = None,
        job_expiration: Duration | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        problems = Problems()
        problems.extend(_not_a_day("noncurrent_version_expiration", noncurrent_version_expiration))
        problems.extend(_not_a_day("access_log_expiration", access_log_expiration))
        problems.extend(_not_a_day("job_expiration", job_expiration))
        if bucket:
            unused = {
                "access_logs_bucket": access_logs_bucket,
                "removal_policy": removal_policy,
                "noncurrent_version_expiration": noncurrent_version_expiration,
                "access_log_expiration": access_log_expiration,
                "job_expiration": job_expiration,
            }
            problems.extend(_without_effect("bucket", unused))
        elif access_logs_bucket:
            problems.extend(_without_effect("access_logs_bucket", {"access_log_expiration": access_log_expiration}))
        problems.raise_for(self)

        # Without this flag CDK lets S3 write access logs by ACL, and these buckets have none.
        self.node.set_context("@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy", True)
        removal = removal_policy or RemovalPolicy.RETAIN
        self.access_logs_bucket: s3.IBucket | None = access_logs_bucket
        if not bucket and not access_logs_bucket:
            self.access_logs_bucket = self._define_access_logs_bucket(removal, access_log_expiration)
        self.job_expiration: Duration | None = None if bucket else job_expiration or Duration.days(_JOB_DAYS)
        self.bucket: s3.IBucket = bucket or self._define_bucket(encryption_key, removal, noncurrent_version_expiration)
        self.encryption_key: kms.IKey | None = encryption_key or self.bucket.encryption_key
        self.datasets = self._prefix("datasets/")
        self.models = self._prefix("models/")
        self.results = self._prefix("results/")
        self.jobs = self._prefix(_JOBS)
        self.requests = self._prefix(_REQUESTS)
        self.trainings = self._prefix("trainings/")
        self.transform = self._prefix("transform/")

    def _prefix(self, prefix: str) -> ArtifactPrefix:
        return ArtifactPrefix(bucket=self.bucket, prefix=prefix, encryption_key=self.encryption_key)

    def _define_bucket(self, key: kms.IKey | None, removal: RemovalPolicy, noncurrent: Duration | None) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Bucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            bucket_key_enabled=True if key else None,
            encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            enforce_ssl=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="Housekeeping",
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                    expired_object_delete_marker=True,
                    noncurrent_version_expiration=noncurrent or Duration.days(90),
                    transitions=[
                        # Costs nothing to read back, unlike the infrequent-access classes.
                        s3.Transition(
                            storage_class=s3.StorageClass.INTELLIGENT_TIERING, transition_after=Duration.days(30)
                        )
                    ],
                ),
                *(
                    s3.LifecycleRule(
                        id=name,
                        prefix=prefix,
                        expiration=expiration,
                        noncurrent_version_expiration=Duration.days(1),
                    )
                    for name, prefix, expiration in (
                        ("Requests", _REQUESTS, Duration.days(_REQUEST_DAYS)),
                        ("Jobs", _JOBS, self.job_expiration),
                        *((name, prefix, Duration.days(_WORK_DAYS)) for name, prefix in _WORK.items()),
                    )
                ),
            ],
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=removal,
            server_access_logs_bucket=self.access_logs_bucket,
            server_access_logs_prefix=f"{self.node.path}/",
            versioned=True,
        )
        # CDK's own event_bridge_enabled does the same by a function that runs at deployment.
        resource = cast(s3.CfnBucket, bucket.node.default_child)
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        )
        return bucket

    def _define_access_logs_bucket(self, removal: RemovalPolicy, expiration: Duration | None) -> s3.Bucket:
        return s3.Bucket(
            self,
            "AccessLogsBucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,  # S3 delivers access logs to no bucket with a KMS key
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
            removal_policy=removal,
            versioned=True,
        )


def _not_a_day(name: str, duration: Duration | None) -> Iterator[str]:
    if duration and not duration.is_unresolved() and duration.to_days(integral=False) < 1:
        yield f"{name} is {duration.to_human_string()}: S3 counts in days: use Duration.days(1) or more"


def _without_effect(existing: str, arguments: Mapping[str, object]) -> Iterator[str]:
    for name, value in arguments.items():
        if value is not None:
            yield f"{name} with {existing}: it would change nothing about a bucket that exists: leave it out"
