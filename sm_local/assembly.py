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
        jobs: How many instances the state machines' jobs take at the same time, by the quota's name, such as
            ``"ml.m5.xlarge for training job usage"``; of jobs that may have several instances, with one each.
        api_logs: Whether a REST API writes logs with the account's role, which no stack here sets.
    """

    bootstrap_parameter: str
    bootstrap_version: int
    instances: Mapping[str, int]
    serverless_concurrency: int
    jobs: Mapping[str, int]
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
            jobs=_job_instances(resources),
            api_logs="AWS::ApiGateway::Account" not in types and any(map(_writes_logs, resources)),
        )


def _variants(resources: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for resource in resources:
        if resource["Type"] == "AWS::SageMaker::EndpointConfig":
            yield from resource["Properties"]["ProductionVariants"]


def _job_instances(resources: list[dict[str, Any]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for resource in resources:
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            for quota, count in _jobs(_definition(resource["Properties"]["DefinitionString"]), at_once=1):
                found[quota] += count
    return dict(found)


def _definition(text: str | Mapping[str, Any]) -> Any:
    """Return a state machine's definition; what only the deployment knows is an empty text in it."""
    parts = [text] if isinstance(text, str) else text["Fn::Join"][1]
    return json.loads("".join(part if isinstance(part, str) else "" for part in parts))


def _jobs(node: object, *, at_once: int) -> Iterator[tuple[str, int]]:
    """Yield the quota and the number of instances of each of SageMaker's jobs that a definition has."""
    match node:
        case {"ResourceConfig": {"InstanceType": str() as kind, **cluster}, **request}:
            spot = "spot " if request.get("EnableManagedSpotTraining") else ""
            yield f"{kind} for {spot}training job usage", at_once * _count(cluster)
            if "KeepAlivePeriodInSeconds" in cluster:
                yield f"{kind} for training warm pool usage", at_once * _count(cluster)
        case {"ProcessingResources": {"ClusterConfig": {"InstanceType": str() as kind, **cluster}}}:
            yield f"{kind} for processing job usage", at_once * _count(cluster)
        case {"TransformResources": {"InstanceType": str() as kind, **cluster}}:
            yield f"{kind} for transform job usage", at_once * _count(cluster)
        case dict():
            for child in node.values():
                yield from _jobs(child, at_once=at_once * (node.get("MaxConcurrency") or 1))


def _count(cluster: Mapping[Any, Any]) -> int:
    count = cluster.get("InstanceCount")
    return count if isinstance(count, int) else 1  # an execution says how many


def _writes_logs(resource: dict[str, Any]) -> bool:
    properties = resource.get("Properties", {})
    levels = [settings.get("LoggingLevel", "OFF") for settings in properties.get("MethodSettings", [])]
    return resource["Type"] == "AWS::ApiGateway::Stage" and (
        "AccessLogSetting" in properties or any(level != "OFF" for level in levels)
    )
