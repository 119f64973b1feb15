"""Patches of Lambda."""

from ministack.core import lambda_runtime
from ministack.services import (
    lambda_svc,
)

from sm_local import patches


def test_a_silent_function_is_not_waited_for() -> None:
    drain = lambda_runtime.Worker._drain_stderr_bounded
    assert drain.__defaults__[0] == 0.05

    patches.lambda_functions.answer_without_waiting_for_logs()

    assert drain.__defaults__[0] == 0.002


def test_a_functions_exception_has_its_name() -> None:
    log = (
        'row 3\nTraceback (most recent call last):\n  File "a.py", line 1, in f\nlogic.DatasetError: row 3: no label\n'
    )
    failed = {"error": True, "body": {"errorType": "Runtime.HandlerError", "errorMessage": "row 3: no label"}}
    answers = iter(
        [
            {**failed, "log": log},
            {**failed, "log": "killed"},
            {"error": True, "body": {"errorType": "Sandbox.Timedout"}, "log": log},
            {"body": {"errorType": "mine"}, "log": log},
        ]
    )
    lambda_svc._execute_function_with_config_scope = lambda *_: next(answers)

    patches.lambda_functions.name_exceptions_of_functions()

    named = [lambda_svc._execute_function_with_config_scope({}, {})["body"]["errorType"] for _ in range(4)]
    assert named == ["DatasetError", "Runtime.HandlerError", "Sandbox.Timedout", "mine"]
