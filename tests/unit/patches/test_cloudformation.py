"""Patches of CloudFormation."""

from unittest import mock

from ministack.services.cloudformation import provisioners, stacks

from sm_local import patches


def test_resource_types_are_added_and_may_wait() -> None:
    assert "AWS::SageMaker::Endpoint" not in provisioners._RESOURCE_HANDLERS
    assert not stacks._runs_on_worker_thread("AWS::SageMaker::Endpoint")

    patches.cloudformation.add_resource_types({"AWS::SageMaker::Endpoint": {"create": mock.Mock()}})

    assert "AWS::SageMaker::Endpoint" in provisioners._RESOURCE_HANDLERS
    assert stacks._runs_on_worker_thread("AWS::SageMaker::Endpoint")
    assert stacks._runs_on_worker_thread("Custom::Something")
    assert not stacks._runs_on_worker_thread("AWS::S3::Bucket")
