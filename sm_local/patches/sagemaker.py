"""SageMaker: MiniStack has none."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from sm_local.patches.core import ServiceHandler

_INVOCATION_PATH = re.compile(r"^/endpoints/(?P<name>[^/]+)/(?:async-)?invocations(?:-response-stream)?/?$")


def invoked_endpoint(path: str) -> str | None:
    """Return the endpoint that a SageMaker Runtime path names.

    >>> invoked_endpoint("/endpoints/Reviews-4x2/invocations")
    'Reviews-4x2'
    >>> invoked_endpoint("/")
    """
    match = _INVOCATION_PATH.match(path)
    return unquote(match["name"]) if match else None


def add_sagemaker(handler: ServiceHandler) -> None:
    """MiniStack has no SageMaker: route its calls to `handler`, behind MiniStack's own IAM check."""
    from ministack import app
    from ministack.core import iam_actions

    app.SERVICE_HANDLERS["sagemaker"] = handler
    iam_actions.SERVICE_TO_IAM_NAMESPACE["sagemaker"] = "sagemaker"
    iam_actions._BOTOCORE_SERVICE_MAP["sagemaker"] = ["sagemaker-runtime"]
    resource_of_others = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        if service != "sagemaker":
            return str(resource_of_others(service, method, path, headers, body, query, region, account))
        return resource_arn(path, body, region, account)

    iam_actions.extract_resource_arn = extract_resource_arn


def resource_arn(path: str, body: bytes, region: str, account: str) -> str:
    """Return the ARN that IAM checks a SageMaker call against: names in it are lower case.

    >>> resource_arn("/endpoints/Reviews/invocations", b"", "us-east-1", "000000000000")
    'arn:aws:sagemaker:us-east-1:000000000000:endpoint/reviews'
    """
    if (endpoint := invoked_endpoint(path)) is not None:
        named = ("endpoint", endpoint)
    else:
        try:
            parameters = json.loads(body or b"{}")
        except ValueError:
            parameters = {}
        fields = {
            "TrainingJobName": "training-job",
            "ProcessingJobName": "processing-job",
            "TransformJobName": "transform-job",
            "InferenceComponentName": "inference-component",
            "EndpointName": "endpoint",
            "EndpointConfigName": "endpoint-config",
            "ModelName": "model",
            "ModelPackageGroupName": "model-package-group",
            "ModelPackageArn": "model-package",
            "ModelPackageName": "model-package",
            "ResourceArn": "",
        }
        named = next(((kind, parameters[field]) for field, kind in fields.items() if field in parameters), ("", ""))
    kind, name = named
    if str(name).startswith("arn:"):
        return str(name)
    return f"arn:aws:sagemaker:{region}:{account}:{kind}/{str(name).lower()}" if name else "*"
