"""How a call to an AWS service can fail, as far as the answer to a caller differs."""

from __future__ import annotations

from collections.abc import Mapping


class GatewayError(Exception):
    """A call to an AWS service failed.

    Args:
        message: What happened, for an operator; never a caller's text.
        facts: What else the log should hold, such as the service's error code.
    """

    def __init__(self, message: str, facts: Mapping[str, object]) -> None:
        self.facts = dict(facts)
        super().__init__(message)


class UnavailableError(GatewayError):
    """The service is busy, still starting or out of order: the same call may succeed later."""


class TimedOutError(GatewayError):
    """The service did not answer in the time there is."""


class RejectedError(GatewayError):
    """The service was reached and could not do it, or answered something else than agreed.

    Args:
        message: As for every failed call.
        facts: As for every failed call.
        cause: What the service said, for the caller. It may quote the caller's text.
    """

    def __init__(self, message: str, facts: Mapping[str, object], *, cause: str) -> None:
        self.cause = cause
        super().__init__(message, facts)


class MisconfiguredError(GatewayError):
    """The call can never succeed as things are set up: no permission, or no such resource."""
