"""Real texts to train on, as `make model` has prepared them."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

_DATA = Path(__file__).parents[2] / ".build/data/train"
_MAX_CHARACTERS = 500


def real_rows(count: int) -> list[dict[str, str]]:
    """Return as many Chinese reviews as English mails, their beginnings."""
    rows: list[dict[str, str]] = []
    for name in ("reviews-zh", "mail-en"):
        with (_DATA / f"{name}.jsonl").open(encoding="utf-8") as lines:
            found = map(json.loads, islice(lines, count // 2))
            rows += [{"text": row["text"][:_MAX_CHARACTERS], "label": row["label"]} for row in found]
    return rows
