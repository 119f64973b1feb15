"""How a template is kept: JSON, as short as can be read."""

from __future__ import annotations

import json

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

_WIDTH = 120


class TemplateExtension(SingleFileSnapshotExtension):
    """Keeps one JSON file for each test, sorted, and with all on one line that fits on it."""

    file_extension = "json"
    _write_mode = WriteMode.TEXT

    def serialize(self, data: object, **_options: object) -> str:
        """Return the text of the file."""
        return _lines(data, "") + "\n"


def _lines(value: object, indent: str, width: int = _WIDTH) -> str:
    """Return JSON whose first line begins where ``width`` characters are left."""
    line = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if len(line) <= width or not isinstance(value, dict | list):
        return line
    deeper = f"{indent} "
    if isinstance(value, list):
        members = [_lines(each, deeper, _WIDTH - len(deeper)) for each in value]
        opening, closing = "[]"
    else:
        names = {name: f"{json.dumps(name, ensure_ascii=False)}: " for name in sorted(value)}
        members = [
            heading + _lines(value[name], deeper, _WIDTH - len(deeper) - len(heading))
            for name, heading in names.items()
        ]
        opening, closing = "{}"
    separator = f",\n{deeper}"
    return f"{opening}\n{deeper}{separator.join(members)}\n{indent}{closing}"
