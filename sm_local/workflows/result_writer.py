"""The results of a distributed map in S3.

https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from sm_local.patches import step_functions
from sm_local.workflows import sdk


def write_results(
    arguments: Mapping[str, Any], results: Sequence[Any], map_run: str, execution: step_functions.Execution
) -> dict[str, Any]:
    """Write what the children returned, and return where, as the state's result.

    Args:
        arguments: ``Bucket`` and ``Prefix``.
        results: Of each child, None for one that failed.
        map_run: The ARN of the map run.
        execution: Whose role writes.

    Raises:
        Exception: The task's failure, when the role may not.
    """
    client, bucket = sdk.session(execution).client("s3"), arguments["Bucket"]
    prefix = "/".join(part for part in (arguments.get("Prefix", "").strip("/"), str(uuid.uuid4())) if part)
    rows = [{"Output": json.dumps(one), "Status": "SUCCEEDED"} for one in results if one is not None]
    body = json.dumps(rows).encode()
    file = {"Key": f"{prefix}/SUCCEEDED_0.json", "Size": len(body)}
    manifest = {
        "DestinationBucket": bucket,
        "MapRunArn": map_run,
        "ResultFiles": {"FAILED": [], "PENDING": [], "SUCCEEDED": [file] if rows else []},
    }
    try:
        if rows:
            client.put_object(Bucket=bucket, Key=file["Key"], Body=body)
        client.put_object(Bucket=bucket, Key=f"{prefix}/manifest.json", Body=json.dumps(manifest).encode())
    except ClientError as error:
        raise step_functions.task_error("States.ResultWriterFailed", str(error)) from error
    return {"MapRunArn": map_run, "ResultWriterDetails": {"Bucket": bucket, "Key": f"{prefix}/manifest.json"}}
