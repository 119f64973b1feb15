"""StageConfig: what DEV and PROD promise, and that a third stage is one value."""

from __future__ import annotations

from dataclasses import fields, replace

import aws_cdk as cdk
import pytest

from sm_constructs import DEV, PROD, InvalidPropsError, RealTime, Serverless, StageConfig


def test_dev_costs_nothing_idle_and_leaves_nothing_behind() -> None:
    assert isinstance(DEV.variant, Serverless)
    assert DEV.variant.provisioned_concurrency is None
    assert DEV.removal_policy == cdk.RemovalPolicy.DESTROY
    assert not DEV.termination_protection
    assert not DEV.customer_managed_key


def test_prod_has_two_instances_a_key_of_its_own_and_keeps_everything() -> None:
    assert isinstance(PROD.variant, RealTime)
    assert PROD.variant.instance_count >= 2
    assert PROD.removal_policy == cdk.RemovalPolicy.RETAIN
    assert PROD.termination_protection
    assert PROD.customer_managed_key


def test_prod_keeps_more_and_longer_than_dev() -> None:
    assert PROD.noncurrent_version_days > DEV.noncurrent_version_days
    assert PROD.access_log_days > DEV.access_log_days


def test_prod_differs_from_dev_in_every_field_so_that_none_is_idle() -> None:
    same = [field.name for field in fields(StageConfig) if getattr(DEV, field.name) == getattr(PROD, field.name)]

    assert same == []


@pytest.mark.parametrize("stage", [DEV, PROD])
def test_every_value_is_one_that_sagemaker_and_cloudwatch_take(stage: StageConfig) -> None:
    assert stage.problems() == []


def test_a_stage_is_found_by_its_name() -> None:
    assert StageConfig.named("dev") is DEV
    assert StageConfig.named("prod") is PROD


def test_an_unknown_stage_is_refused_with_the_choices() -> None:
    with pytest.raises(InvalidPropsError) as caught:
        StageConfig.named("production")

    assert caught.value.problems == ("stage is 'production': must be one of 'dev', 'prod'",)


def test_a_third_stage_is_one_value_that_leaves_the_others_alone() -> None:
    staging = replace(PROD, name="staging", removal_policy=cdk.RemovalPolicy.DESTROY)

    assert (staging.name, staging.removal_policy) == ("staging", cdk.RemovalPolicy.DESTROY)
    assert staging.variant == PROD.variant
    assert PROD.removal_policy == cdk.RemovalPolicy.RETAIN
