"""What others may do with an endpoint, and endpoints that are defined elsewhere."""

from __future__ import annotations

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from sm_constructs.endpoint import Endpoint
from tests.synth.endpoint.making import endpoint_in, queue_in
from tests.synth.templates import all_of, only, statement_for, statements

ARN = "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/reviews"


@pytest.fixture
def role(stack: cdk.Stack) -> iam.Role:
    return iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))


def test_handing_in_inputs_is_an_action_of_its_own(stack: cdk.Stack, role: iam.Role) -> None:
    endpoint = endpoint_in(stack, queue_in(stack))

    endpoint.grant_invoke_async(role)

    statement = statement_for(stack, "sagemaker:InvokeEndpointAsync")
    assert statement["Action"] == "sagemaker:InvokeEndpointAsync"
    assert statement["Resource"] == stack.resolve(endpoint.endpoint_arn)


def test_describing_is_for_this_endpoint_and_nothing_else(stack: cdk.Stack, role: iam.Role) -> None:
    endpoint = endpoint_in(stack)

    endpoint.grant_describe(role)

    statement = statement_for(stack, "sagemaker:DescribeEndpoint")
    assert statement["Action"] == "sagemaker:DescribeEndpoint"
    assert statement["Resource"] == stack.resolve(endpoint.endpoint_arn)


def test_updating_is_for_this_endpoint_and_the_configurations_that_it_may_move_to(
    stack: cdk.Stack, role: iam.Role
) -> None:
    endpoint = endpoint_in(stack)

    endpoint.grant_update(role, endpoint_config_name_prefix="Reviews-")

    update = statement_for(stack, "sagemaker:UpdateEndpoint")
    assert update["Action"] == "sagemaker:UpdateEndpoint"
    configurations, itself = update["Resource"]
    assert configurations["Fn::Join"][1][-1] == ":endpoint-config/reviews-*"
    assert itself == stack.resolve(endpoint.endpoint_arn)
    rest = statement_for(stack, "sagemaker:UpdateEndpointWeightsAndCapacities")
    assert rest["Action"] == ["sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"]
    assert rest["Resource"] == stack.resolve(endpoint.endpoint_arn)


def test_an_endpoint_is_imported_by_its_arn(stack: cdk.Stack, role: iam.Role) -> None:
    endpoint = Endpoint.from_endpoint_arn(stack, "Endpoint", ARN, variant_names=["Blue"])

    endpoint.grant_invoke(role)

    assert endpoint.endpoint_name == "reviews"
    assert endpoint.variant_names == ["Blue"]
    assert (endpoint.env.account, endpoint.env.region) == ("111122223333", "eu-west-1")
    assert statement_for(stack, "sagemaker:InvokeEndpoint")["Resource"] == ARN
    assert not all_of(stack, "AWS::SageMaker::Endpoint")


def test_an_arn_may_be_known_at_deployment_only(stack: cdk.Stack) -> None:
    parameter = cdk.CfnParameter(stack, "Arn").value_as_string

    endpoint = Endpoint.from_endpoint_arn(stack, "Endpoint", parameter)

    assert stack.resolve(endpoint.endpoint_arn) == {"Ref": "Arn"}
    assert "Fn::Select" in stack.resolve(endpoint.endpoint_name)


def test_an_endpoint_is_imported_by_its_attributes_and_keeps_its_capitals(stack: cdk.Stack) -> None:
    endpoint = Endpoint.from_endpoint_attributes(stack, "Endpoint", endpoint_arn=ARN, endpoint_name="Reviews")

    assert (endpoint.endpoint_arn, endpoint.endpoint_name) == (ARN, "Reviews")
    assert endpoint.metric_invocations().dimensions == {"EndpointName": "Reviews", "VariantName": "AllTraffic"}


def test_nobody_is_granted_anything_unasked(stack: cdk.Stack) -> None:
    endpoint_in(stack)

    assert not [each for each in statements(stack) if "sagemaker:" in str(each["Action"])]
    assert only(stack, "AWS::IAM::Role")["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
        "Service": "sagemaker.amazonaws.com"
    }
