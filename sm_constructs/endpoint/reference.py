"""What can be done with an endpoint, whether it is defined in this app or elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import jsii
from aws_cdk import ArnFormat, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk.interfaces.aws_sagemaker import EndpointReference
from constructs import Construct

from sm_constructs.endpoint.measured import MeasuredEndpoint
from sm_constructs.endpoint.metrics import Publisher


@jsii.implements(sagemaker.IEndpoint)
class EndpointBase(MeasuredEndpoint):
    """An endpoint's names, grants and metrics."""

    _endpoint_arn: str

    @property
    def endpoint_arn(self) -> str:
        """The ARN."""
        return self._endpoint_arn

    @property
    def endpoint_name(self) -> str:
        """The name."""
        return self._endpoint_name

    @property
    def endpoint_ref(self) -> EndpointReference:
        """The reference that CDK's generated resources take."""
        return EndpointReference(endpoint_arn=self.endpoint_arn)

    @property
    def log_group_name(self) -> str:
        """The log group that SageMaker makes and writes the containers' output to."""
        return f"/aws/sagemaker/Endpoints/{self.endpoint_name}"

    @property
    def variant_names(self) -> list[str]:
        """The names of the production variants."""
        return list(self._publishers)

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to call this endpoint and wait for the answer."""
        return self._grant(grantee, "sagemaker:InvokeEndpoint")

    def grant_invoke_async(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to hand inputs in S3 to this asynchronous endpoint; to put them there is for you to grant."""
        return self._grant(grantee, "sagemaker:InvokeEndpointAsync")

    def grant_describe(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to see what this endpoint is and how it does."""
        return self._grant(grantee, "sagemaker:DescribeEndpoint")

    def grant_update(self, grantee: iam.IGrantable, *, endpoint_config_name_prefix: str = "") -> iam.Grant:
        """Allow to move this endpoint to another configuration, to change its weights and counts, and to watch that.

        Args:
            grantee: Who may.
            endpoint_config_name_prefix: What the names of the configurations begin with that it may move to. When
                omitted: it may move to any of this account and region.
        """
        stack = Stack.of(self)
        configurations = stack.format_arn(
            service="sagemaker", resource="endpoint-config", resource_name=f"{endpoint_config_name_prefix.lower()}*"
        )
        grant = iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["sagemaker:UpdateEndpoint"],
            resource_arns=[self.endpoint_arn, configurations],
        )
        return grant.combine(
            self._grant(grantee, "sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities")
        )

    def _grant(self, grantee: iam.IGrantable, *actions: str) -> iam.Grant:
        return iam.Grant.add_to_principal(grantee=grantee, actions=list(actions), resource_arns=[self.endpoint_arn])


class ImportedEndpoint(EndpointBase):
    """An endpoint that is defined elsewhere. Make one with one of the ``from_`` methods of ``Endpoint``."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint_name: str,
        endpoint_arn: str | None = None,
        variant_names: Sequence[str],
    ) -> None:
        super().__init__(scope, construct_id, physical_name=endpoint_name, environment_from_arn=endpoint_arn)
        self._endpoint_name = endpoint_name
        self._endpoint_arn = endpoint_arn or Stack.of(self).format_arn(
            service="sagemaker", resource="endpoint", resource_name=lower(endpoint_name)
        )
        self._publishers = dict.fromkeys(variant_names, Publisher.VARIANTS)
        self._containers = {}


def name_of(scope: Construct, endpoint_arn: str) -> str:
    """Return the name in an ARN."""
    return str(Stack.of(scope).split_arn(endpoint_arn, ArnFormat.SLASH_RESOURCE_NAME).resource_name)


def lower(name: str) -> str:
    """Return the name as it stands in ARNs, which SageMaker writes in lower case."""
    return name if Token.is_unresolved(name) else name.lower()
