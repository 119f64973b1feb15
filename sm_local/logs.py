"""The logs of the parts of a deployed stack."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

from sm_local.errors import LocalAwsError

_POLL_S = 0.5


class Source(StrEnum):
    """Whose log."""

    CLASSIFY = "classify"
    ENDPOINT = "endpoint"
    SERVER = "server"


def never() -> bool:
    return False


def always() -> bool:
    return True


def file_lines(path: Path, *, follow: Callable[[], bool] = never) -> Iterator[str]:
    """Yield the lines of a log file, and those that come as long as `follow` says so.

    Raises:
        LocalAwsError: There is no such file.
    """
    if not path.is_file():
        raise LocalAwsError(f"There is no log {path} yet.")
    with path.open(errors="replace") as file:
        while True:
            if line := file.readline():
                yield line.rstrip("\n")
            elif follow():
                time.sleep(_POLL_S)
            else:
                return


def function_lines(function_name: str, session: boto3.Session, *, follow: Callable[[], bool] = never) -> Iterator[str]:
    """Yield the log lines of a Lambda function, oldest first, and those that come as long as `follow` says so.

    A function that was never called has none.
    """
    configuration = session.client("lambda").get_function_configuration(FunctionName=function_name)
    group = configuration.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function_name}"
    shown: Counter[str] = Counter()  # events by log stream: each stream only grows
    while True:
        by_stream: Counter[str] = Counter()
        for stream, message in _events(group, session):
            by_stream[stream] += 1
            if by_stream[stream] > shown[stream]:
                yield message.rstrip("\n")
        shown = by_stream
        if not follow():
            return
        time.sleep(_POLL_S)


def _events(group: str, session: boto3.Session) -> list[tuple[str, str]]:
    paginator = session.client("logs").get_paginator("filter_log_events")
    try:
        return [
            (event["logStreamName"], event["message"])
            for page in paginator.paginate(logGroupName=group)
            for event in page["events"]
        ]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return []
        raise
