"""Names of what runs make in SageMaker, which CloudFormation does not name: jobs, models, configurations."""

from __future__ import annotations

from aws_cdk import ArnFormat, Names, Stack
from constructs import Construct

NAME_CHARACTERS = 20
"""How long the first part of such names may be, so that an execution's name fits behind it."""


def unique_name(scope: Construct, characters: int = NAME_CHARACTERS) -> str:
    """Return a name as SageMaker takes it, in lower case: ARNs have names so."""
    name = Names.unique_resource_name(scope, max_length=characters, separator="-", allowed_special_characters="-")
    return name.strip("-").lower()


def named(stack: Stack, kind: str, name_prefix: str) -> str:
    """Return the ARN of all that SageMaker has of a kind whose names begin so."""
    return stack.format_arn(
        service="sagemaker",
        resource=kind,
        resource_name=f"{name_prefix}-*",
        arn_format=ArnFormat.SLASH_RESOURCE_NAME,
    )
