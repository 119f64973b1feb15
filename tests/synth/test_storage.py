"""The artifact store: its buckets, and what a grant on a prefix allows."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from sm_constructs import ArtifactStore, InvalidPropsError
from tests.synth.templates import all_of, only, resources_of, statement_for, statements

BUCKET, BUCKET_POLICY = "AWS::S3::Bucket", "AWS::S3::BucketPolicy"


@pytest.fixture
def role(stack: cdk.Stack) -> iam.Role:
    return iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))


def store_bucket(stack: cdk.Stack) -> dict[str, Any]:
    """Return the properties of the bucket that has its access logged."""
    (bucket,) = [each for each in all_of(stack, BUCKET) if "LoggingConfiguration" in each["Properties"]]
    properties: dict[str, Any] = bucket["Properties"]
    return properties


def test_both_buckets_are_private_encrypted_versioned_and_owned_by_the_account(stack: cdk.Stack) -> None:
    ArtifactStore(stack, "Store")

    buckets = all_of(stack, BUCKET)

    assert len(buckets) == 2
    for bucket in buckets:
        properties = bucket["Properties"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_both_buckets_refuse_plain_http_and_old_tls(stack: cdk.Stack) -> None:
    ArtifactStore(stack, "Store")

    policies = all_of(stack, BUCKET_POLICY)

    assert len(policies) == 2
    for policy in policies:
        denied = [each for each in policy["Properties"]["PolicyDocument"]["Statement"] if each["Effect"] == "Deny"]
        assert [each["Condition"] for each in denied] == [
            {"Bool": {"aws:SecureTransport": "false"}},
            {"NumericLessThan": {"s3:TlsVersion": 1.2}},
        ]
        assert all(each["Action"] == "s3:*" and each["Principal"] == {"AWS": "*"} for each in denied)


def test_buckets_outlive_the_stack_and_nothing_empties_them(stack: cdk.Stack) -> None:
    ArtifactStore(stack, "Store")

    assert {bucket["DeletionPolicy"] for bucket in all_of(stack, BUCKET)} == {"Retain"}
    assert {resource["Type"] for resource in resources_of(stack).values()} == {BUCKET, BUCKET_POLICY}


def test_the_removal_policy_is_that_of_both_buckets(stack: cdk.Stack) -> None:
    ArtifactStore(stack, "Store", removal_policy=cdk.RemovalPolicy.DESTROY)

    assert [bucket["DeletionPolicy"] for bucket in all_of(stack, BUCKET)] == ["Delete", "Delete"]


def test_access_logs_are_delivered_by_bucket_policy_even_in_an_app_without_the_feature_flag() -> None:
    stack = cdk.Stack(cdk.App(builtin_cloud_formation_validation=False), "Stack")

    ArtifactStore(stack, "Store")

    logging = store_bucket(stack)["LoggingConfiguration"]
    assert isinstance(logging, dict)
    assert logging["LogFilePrefix"] == "Stack/Store/"
    assert not [bucket for bucket in all_of(stack, BUCKET) if "AccessControl" in bucket["Properties"]]


def test_lifecycle_rules_clean_up_behind_uploads_versions_and_logs(stack: cdk.Stack) -> None:
    ArtifactStore(
        stack,
        "Store",
        noncurrent_version_expiration=cdk.Duration.days(14),
        access_log_expiration=cdk.Duration.days(30),
        job_expiration=cdk.Duration.days(40),
    )

    housekeeping, *others = store_bucket(stack)["LifecycleConfiguration"]["Rules"]
    assert housekeeping == {
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        "ExpiredObjectDeleteMarker": True,
        "Id": "Housekeeping",
        "NoncurrentVersionExpiration": {"NoncurrentDays": 14},
        "Status": "Enabled",
        "Transitions": [{"StorageClass": "INTELLIGENT_TIERING", "TransitionInDays": 30}],
    }
    assert {rule["Prefix"]: rule["ExpirationInDays"] for rule in others} == {
        "results/requests/": 30,
        "jobs/": 40,
        "trainings/work/": 14,
        "transform/work/": 14,
    }
    (logs,) = [each for each in all_of(stack, BUCKET) if "LoggingConfiguration" not in each["Properties"]]
    (rule,) = logs["Properties"]["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == 30


def test_versions_are_kept_for_90_days_and_logs_for_a_year_unless_said_otherwise(stack: cdk.Stack) -> None:
    ArtifactStore(stack, "Store")

    rules = [rule for each in all_of(stack, BUCKET) for rule in each["Properties"]["LifecycleConfiguration"]["Rules"]]
    assert {rule.get("ExpirationInDays") for rule in rules} == {None, 14, 30, 35, 365}
    assert {rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules} == {1, 90}


def test_a_key_encrypts_the_objects_through_a_bucket_key_and_leaves_the_access_logs_to_s3(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key")

    store = ArtifactStore(stack, "Store", encryption_key=key)

    algorithms = {
        str(rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"]): rule.get("BucketKeyEnabled", False)
        for bucket in all_of(stack, BUCKET)
        for rule in bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    }
    assert algorithms == {"aws:kms": True, "AES256": False}
    assert store.encryption_key is key


def test_a_bucket_that_exists_is_used_with_its_own_key_and_nothing_is_made(stack: cdk.Stack) -> None:
    key = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:us-east-1:111122223333:key/k")
    bucket = s3.Bucket.from_bucket_attributes(stack, "Bucket", bucket_name="theirs", encryption_key=key)

    store = ArtifactStore(stack, "Store", bucket=bucket)

    assert store.bucket is bucket
    assert store.access_logs_bucket is None
    assert store.encryption_key is not None
    assert store.encryption_key.key_arn == key.key_arn
    assert not all_of(stack, BUCKET)


def test_access_logs_go_to_the_bucket_that_is_handed_in(stack: cdk.Stack) -> None:
    logs = s3.Bucket.from_bucket_name(stack, "Logs", "all-logs")

    store = ArtifactStore(stack, "Store", access_logs_bucket=logs)

    assert store.access_logs_bucket is logs
    logging = only(stack, BUCKET)["LoggingConfiguration"]
    assert logging == {"DestinationBucketName": "all-logs", "LogFilePrefix": "Stack/Store/"}


def test_reading_is_limited_to_the_prefix_in_objects_and_in_listings(stack: cdk.Stack, role: iam.Role) -> None:
    store = ArtifactStore(stack, "Store")

    store.datasets.grant_read(role)

    arn = stack.resolve(store.bucket.bucket_arn)
    read, listing = statements(stack)
    assert read["Action"] == "s3:GetObject"
    assert read["Resource"] == {"Fn::Join": ["", [arn, "/datasets/*"]]}
    assert listing["Action"] == "s3:ListBucket"
    assert listing["Resource"] == arn
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["datasets/*"]}}


def test_writing_does_not_allow_to_read_list_or_delete(stack: cdk.Stack, role: iam.Role) -> None:
    store = ArtifactStore(stack, "Store")

    store.results.grant_write(role)

    (statement,) = statements(stack)
    assert sorted(statement["Action"]) == ["s3:AbortMultipartUpload", "s3:PutObject"]
    assert statement["Resource"]["Fn::Join"][1][-1] == "/results/*"


def test_reading_and_writing_allows_both(stack: cdk.Stack, role: iam.Role) -> None:
    ArtifactStore(stack, "Store").models.grant_read_write(role)

    for action in ("s3:GetObject", "s3:ListBucket", "s3:PutObject"):
        assert statement_for(stack, action)


def test_a_grant_to_read_includes_decryption(stack: cdk.Stack, role: iam.Role) -> None:
    key = kms.Key(stack, "Key")

    ArtifactStore(stack, "Store", encryption_key=key).models.grant_read(role)

    statement = statement_for(stack, "kms:Decrypt")
    assert statement["Action"] == "kms:Decrypt"
    assert statement["Resource"] == stack.resolve(key.key_arn)


def test_a_grant_to_write_includes_data_keys(stack: cdk.Stack, role: iam.Role) -> None:
    ArtifactStore(stack, "Store", encryption_key=kms.Key(stack, "Key")).models.grant_write(role)

    assert sorted(statement_for(stack, "kms:GenerateDataKey")["Action"]) == ["kms:Decrypt", "kms:GenerateDataKey"]


def test_prefixes_name_keys_and_urls(stack: cdk.Stack) -> None:
    store = ArtifactStore(stack, "Store", bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "theirs"))

    assert [each.prefix for each in (store.datasets, store.models, store.results)] == [
        "datasets/",
        "models/",
        "results/",
    ]
    assert store.models.key("v1/model.tar.gz") == "models/v1/model.tar.gz"
    assert store.models.url("v1/model.tar.gz") == "s3://theirs/models/v1/model.tar.gz"
    assert store.datasets.url() == "s3://theirs/datasets/"


def test_two_stores_live_in_one_stack(stack: cdk.Stack) -> None:
    ArtifactStore(stack, "One")
    ArtifactStore(stack, "Two")

    assert len(all_of(stack, BUCKET)) == 4


def test_everything_wrong_is_said_at_once(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError) as raised:
        ArtifactStore(
            stack,
            "Store",
            bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "theirs"),
            access_logs_bucket=s3.Bucket.from_bucket_name(stack, "Logs", "all-logs"),
            removal_policy=cdk.RemovalPolicy.DESTROY,
            noncurrent_version_expiration=cdk.Duration.hours(12),
            access_log_expiration=cdk.Duration.minutes(5),
        )

    without_effect = "it would change nothing about a bucket that exists: leave it out"
    assert raised.value.subject == "ArtifactStore 'Stack/Store'"
    assert raised.value.problems == (
        "noncurrent_version_expiration is 12 hours: S3 counts in days: use Duration.days(1) or more",
        "access_log_expiration is 5 minutes: S3 counts in days: use Duration.days(1) or more",
        f"access_logs_bucket with bucket: {without_effect}",
        f"removal_policy with bucket: {without_effect}",
        f"noncurrent_version_expiration with bucket: {without_effect}",
        f"access_log_expiration with bucket: {without_effect}",
    )


def test_an_expiration_for_logs_in_a_bucket_that_exists_is_refused(stack: cdk.Stack) -> None:
    logs = s3.Bucket.from_bucket_name(stack, "Logs", "all-logs")

    with pytest.raises(InvalidPropsError, match="access_log_expiration with access_logs_bucket"):
        ArtifactStore(stack, "Store", access_logs_bucket=logs, access_log_expiration=cdk.Duration.days(1))
