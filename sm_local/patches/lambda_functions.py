"""Lambda: logs, exceptions and workers."""

from __future__ import annotations

import re
from typing import Any


def answer_without_waiting_for_logs() -> None:
    """MiniStack waits 50 ms a call for a Lambda function that logs nothing: wait 2 ms.

    A line that comes later lands in the log of the next call.
    """
    from ministack.core import lambda_runtime

    lambda_runtime.Worker._drain_stderr_bounded.__defaults__ = (0.002, 0.002, 0.25)


def name_exceptions_of_functions() -> None:
    """MiniStack calls every exception of a Lambda function ``Runtime.HandlerError``: name it, as Lambda does.

    Retry and Catch go by that name.
    """
    from ministack.services import lambda_svc

    execute = lambda_svc._execute_function_with_config_scope

    def execute_and_name(*arguments: Any, **options: Any) -> Any:
        answer = execute(*arguments, **options)
        body = answer.get("body") if isinstance(answer, dict) and answer.get("error") else None
        if not isinstance(body, dict) or body.get("errorType") != "Runtime.HandlerError":
            return answer
        return {
            **answer,
            "body": {**body, "errorType": exception_name(str(answer.get("log", ""))) or body["errorType"]},
        }

    lambda_svc._execute_function_with_config_scope = execute_and_name


def exception_name(log: str) -> str | None:
    r"""Return the class of the exception that the last traceback in a log ends with.

    >>> trace = "Traceback (most recent call last):\n  File a.py, line 1\nlogic.DatasetError: row 3\n  is broken"
    >>> exception_name(trace)
    'DatasetError'
    """
    _, found, trace = log.rpartition("Traceback (most recent call last):\n")
    lines = (line for line in trace.splitlines() if not line.startswith(" ")) if found else iter(())
    match = re.match(r"[\w.]+", next(lines, ""))
    return match[0].rsplit(".", 1)[-1] if match else None


def stop_lambda_workers() -> None:
    """Kill the worker processes that MiniStack keeps warm; it leaves them running at exit."""
    from ministack.core import lambda_runtime

    lambda_runtime.reset()
