"""What a synthesized app needs of the account that it is deployed to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sm_local.errors import LocalAwsError


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirements:
    """Read from templates, so that they hold for whatever stage and stack was synthesized.

    Args:
        bootstrap_parameter: The SSM parameter that has the version of the CDK's bootstrap stack.
        bootstrap_version: The version that must be there at least.
        instances: How many instances of which type the endpoints start.
        serverless_concurrency: How many calls the serverless endpoints take at the same time, together.
        api_logs: Whether a REST API writes logs with the account's role, which no stack here sets.
    """

    bootstrap_parameter: str
    bootstrap_version: int
    instances: Mapping[str, int]
    serverless_concurrency: int
    api_logs: bool

    @classmethod
    def of(cls, assembly: Path) -> Requirements:
        """Read a cloud assembly (``cdk.out``).

        Raises:
            LocalAwsError: There is none.
        """
        manifest_file = assembly / "manifest.json"
        if not manifest_file.is_file():
            raise LocalAwsError(f"{assembly} has no synthesized app: run `make synth`.")
        stacks = [
            artifact["properties"]
            for artifact in json.loads(manifest_file.read_text())["artifacts"].values()
            if artifact["type"] == "aws:cloudformation:stack"
        ]
        resources = [
            resource
            for stack in stacks
            for resource in json.loads((assembly / stack["templateFile"]).read_text())["Resources"].values()
        ]
        variants = list(_variants(resources))
        types = {resource["Type"] for resource in resources}
        instances: Counter[str] = Counter()
        for variant in variants:
            if "InstanceType" in variant:
                instances[variant["InstanceType"]] += variant["InitialInstanceCount"]
        return cls(
            bootstrap_parameter=stacks[0]["bootstrapStackVersionSsmParameter"],
            bootstrap_version=max(stack["requiresBootstrapStackVersion"] for stack in stacks),
            instances=dict(instances),
            serverless_concurrency=sum(
                variant["ServerlessConfig"]["MaxConcurrency"] for variant in variants if "ServerlessConfig" in variant
            ),
            api_logs="AWS::ApiGateway::Account" not in types and any(map(_writes_logs, resources)),
        )


def _variants(resources: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for resource in resources:
        if resource["Type"] == "AWS::SageMaker::EndpointConfig":
            yield from resource["Properties"]["ProductionVariants"]


def _writes_logs(resource: dict[str, Any]) -> bool:
    properties = resource.get("Properties", {})
    levels = [settings.get("LoggingLevel", "OFF") for settings in properties.get("MethodSettings", [])]
    return resource["Type"] == "AWS::ApiGateway::Stage" and (
        "AccessLogSetting" in properties or any(level != "OFF" for level in levels)
    )
