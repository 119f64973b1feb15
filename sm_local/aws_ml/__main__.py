"""Call an endpoint for PostgreSQL: ``python -m sm_local.aws_ml ENDPOINT FILE`` with a line of CSV as its input."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def invoke(endpoint_name: str, line: str) -> dict[str, str]:
    """Return the endpoint's answer as a value of a composite type, or why there is none."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = boto3.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=endpoint_name, ContentType="text/csv", Accept="text/csv", Body=line.encode()
        )
    except (BotoCoreError, ClientError) as error:
        return {"error": str(error)}
    return {"output": f"({answer['Body'].read().decode().rstrip()})"}


if __name__ == "__main__":
    endpoint, file = sys.argv[1:]
    Path(file).write_text(json.dumps(invoke(endpoint, sys.stdin.read())), encoding="utf-8")
