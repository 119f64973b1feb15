"""The request under way, and what answers one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

Response = tuple[int, dict[str, str], bytes]

ServiceHandler = Callable[[str, str, dict[str, str], bytes, dict[str, list[str]]], Awaitable[Response]]


def scope() -> tuple[str, str]:
    """Return account and region of the request under way."""
    from ministack.core import responses

    return str(responses.get_account_id()), str(responses.get_region())
