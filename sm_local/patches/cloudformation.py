"""CloudFormation: more resource types, and the names that it gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ResourceHandlers = Mapping[str, Mapping[str, Any]]  # create, update, delete, by CloudFormation type


def add_resource_types(handlers: ResourceHandlers) -> None:
    """MiniStack refuses a template with a CloudFormation type that it does not know: add ours.

    Ours may wait for minutes, so they run on a worker thread: a handler on the main one stalls every
    other request.
    """
    from ministack.services.cloudformation import provisioners, stacks

    provisioners._RESOURCE_HANDLERS.update(handlers)
    waits_already = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda kind: kind in handlers or waits_already(kind)
