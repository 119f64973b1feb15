"""The topic that alarms publish to: encrypted, over TLS only, and open to CloudWatch alone."""

from __future__ import annotations

from aws_cdk import Annotations, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct


def alarm_topic(scope: Construct, encryption_key: kms.IKey | None) -> sns.Topic:
    """Define the topic, and a key for it when none is given.

    The AWS-managed key ``alias/aws/sns`` is no choice: its policy does not let CloudWatch use it, so that
    alarms on a topic with it go off unheard
    (https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns).
    """
    key = encryption_key or kms.Key(
        scope,
        "Key",
        description=f"Encrypts the alarm notifications of {scope.node.path}",
        enable_key_rotation=True,
        # It protects messages on their way only: nothing is lost with it.
        removal_policy=RemovalPolicy.DESTROY,
    )
    allow_alarms_to_encrypt(scope, key)
    return sns.Topic(scope, "Topic", master_key=key, enforce_ssl=True)


def allow_alarms_to_encrypt(scope: Construct, key: kms.IKey) -> None:
    """Let CloudWatch alarms of this account use the key, or warn that an imported key's policy has to."""
    result = key.add_to_resource_policy(
        _statement(scope, actions=["kms:Decrypt", "kms:GenerateDataKey*"], resources=["*"])
    )
    if not result.statement_added:
        Annotations.of(scope).add_warning_v2(
            "sm-constructs:alarmTopicKeyPolicy",
            "the encryption key is imported, so its policy cannot be changed from here: it must allow "
            "cloudwatch.amazonaws.com kms:Decrypt and kms:GenerateDataKey*, or alarms stay unheard",
        )


def allow_alarms_to_publish(scope: Construct, topic: sns.ITopic) -> None:
    """Let CloudWatch alarms of this account publish, or warn that an imported topic's policy has to."""
    result = topic.add_to_resource_policy(_statement(scope, actions=["sns:Publish"], resources=[topic.topic_arn]))
    if not result.statement_added:
        Annotations.of(scope).add_warning_v2(
            "sm-constructs:alarmTopicPolicy",
            "the topic is imported, so its policy cannot be changed from here: it must allow "
            "cloudwatch.amazonaws.com sns:Publish, or alarms stay unheard",
        )


def _statement(scope: Construct, *, actions: list[str], resources: list[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="AllowAlarms",
        principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
        actions=actions,
        resources=resources,
        # Other accounts' alarms must not reach it through the same service principal.
        conditions={"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}},
    )
