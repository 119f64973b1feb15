"""What is left out of a kept template: hashes, which change with every source file and say nothing to a reader."""

from __future__ import annotations

import json
import re
from typing import Any

Template = dict[str, Any]

# The CDK's own, the same in every template: what finds its bootstrap version.
_BOILERPLATE = ("Parameters", "Rules")
_ASSET = re.compile(r"[0-9a-f]{64}")
# What the CDK appends to logical ids, twice for deployments of an API, and to names that it makes unique.
_ID = re.compile(r"\b([A-Za-z][\w-]*?)-?[0-9A-F]{8}(?:[0-9a-f]{32})?\b")
_MODEL_VERSION = re.compile(r"(Artifacts)[0-9a-f]{8}")


def masked(template: Template) -> Template:
    """Return a template without hashes of assets and logical ids.

    Raises:
        ValueError: Two logical ids differ by nothing but their hashes, and one would hide the other.
    """
    bootstrap = {"BootstrapVersion", "CheckBootstrapVersion"}
    kept = {
        section: members
        for section, members in template.items()
        if section not in _BOILERPLATE or not members.keys() <= bootstrap
    }
    text = _ASSET.sub("<asset>", json.dumps(kept))
    text = _MODEL_VERSION.sub(r"\1", _ID.sub(r"\1", text))
    result: Template = _substituted(json.loads(text, object_pairs_hook=_without_duplicates))
    return result


def _substituted(value: Any) -> Any:
    """Write what ``Fn::Join`` puts together as one string of ``Fn::Sub``, which says the same."""
    match value:
        case {"Fn::Join": ["", [*parts]]} if None not in (texts := [_text(part) for part in parts]):
            return {"Fn::Sub": "".join(str(text) for text in texts)}
        case dict():
            return {name: _substituted(each) for name, each in value.items()}
        case list():
            return [_substituted(each) for each in value]
        case _:
            return value


def _text(part: object) -> str | None:
    """Return what a part of a join is in ``Fn::Sub``; None where that cannot say it."""
    match part:
        case str() if "${" not in part:
            return part
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::Sub": str(text)}:
            return text
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{name}.{attribute}}}"
        case _:
            return None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"the same without their hashes: {', '.join(twice)}")
    return result
