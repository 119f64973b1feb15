"""A confusion matrix as a picture: SVG, in the colours of a light or a dark page."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape

MOST_LABELS = 20
"""Of more labels, those that are confused most are shown."""

_CELL = 44
_CHARACTER = 7.5
_LONGEST = 24
_TOP = 64
_MARGIN = 16
_DARK_CELL = 0.55

_STYLE = """
  text { font: 13px system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; fill: #1f2328; }
  .page { fill: #ffffff; }
  .title { font-weight: 600; font-size: 15px; }
  .faint { fill: #59636e; }
  .cell { stroke: #d1d9e0; }
  .right { fill: #0969da; }
  .wrong { fill: #bc4c00; }
  .empty { fill: none; }
  .on-dark { fill: #ffffff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .page { fill: #0d1117; }
    .faint { fill: #9198a1; }
    .cell { stroke: #3d444d; }
    .right { fill: #1f6feb; }
    .wrong { fill: #bd561d; }
    .on-dark { fill: #ffffff; }
  }"""


def confusion_picture(labels: Sequence[str], rows: Sequence[Sequence[int]], *, title: str) -> str:
    """Return an SVG document: rows are the labels that texts have, columns those that they got.

    A cell is the darker, the larger its part of the row. Of more than :data:`MOST_LABELS` labels only those are shown
    that take part in most confusions, and the picture says so.

    Args:
        labels: Their names.
        rows: How many texts, by the label they have and the one they got.
        title: What stands above.
    """
    shown = _most_confused(rows)
    names = [_shortened(labels[number]) for number in shown]
    side = max(map(_width, names), default=0)
    above = side * 0.71 + 20  # column names stand at 45 degrees
    left, top = _MARGIN + 24 + side, _TOP + above
    size = len(shown) * _CELL
    omitted = f", the {len(shown)} of {len(labels)} labels that are confused most" if len(shown) < len(labels) else ""
    caption = f"Rows: the label that texts have; columns: the one they got{omitted}"
    widest = max(left + size + above, _MARGIN + 9.5 * _units(title), _MARGIN + 7 * _units(caption))
    width, height = widest + _MARGIN, top + size + 40
    body = [
        f'<text class="title" x="{_MARGIN}" y="28">{escape(_clean(title))}</text>',
        f'<text class="faint" x="{_MARGIN}" y="48">{caption}</text>',
    ]
    for place, (number, name) in enumerate(zip(shown, names, strict=True)):
        middle = (place + 0.5) * _CELL
        tip = f"<title>{escape(_clean(labels[number]))}</title>"
        body += [
            f'<text x="{left - 8:.1f}" y="{top + middle + 5:.1f}" text-anchor="end">{tip}{escape(name)}</text>',
            f'<text x="0" y="0" transform="translate({left + middle + 4:.1f} {top - 8:.1f}) rotate(-45)">'
            f"{tip}{escape(name)}</text>",
        ]
        total = sum(rows[number])
        body += [
            _cell(left + column * _CELL, top + place * _CELL, rows[number][other], total, right=other == number)
            for column, other in enumerate(shown)
        ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{escape(_clean(title))}">',
            f"<style>{_STYLE}\n</style>",
            '<rect class="page" width="100%" height="100%"/>',
            *body,
            "</svg>\n",
        ]
    )


def _cell(x: float, y: float, count: int, total: int, *, right: bool) -> str:
    share = count / total if total else 0.0
    kind = ("right" if right else "wrong") if count else "empty"
    square = (
        f'<rect class="cell {kind}" x="{x:.1f}" y="{y:.1f}" width="{_CELL}" height="{_CELL}" '
        f'fill-opacity="{0.12 + 0.88 * share:.3f}"/>'
    )
    if not count:
        return square
    on_dark = ' class="on-dark"' if 0.12 + 0.88 * share > _DARK_CELL else ""
    number = f"{count:,}" if count < 10_000 else f"{count / 1000:.0f}k"
    return (
        f'{square}<text{on_dark} x="{x + _CELL / 2:.1f}" y="{y + _CELL / 2 + 5:.1f}" text-anchor="middle">{number}'
        f"<title>{count:,} of {total:,}</title></text>"
    )


def _most_confused(rows: Sequence[Sequence[int]]) -> list[int]:
    """Return the numbers of the labels to show, in ascending order."""
    everything = range(len(rows))
    confusions = [sum(rows[one]) + sum(row[one] for row in rows) - 2 * rows[one][one] for one in everything]
    return sorted(sorted(everything, key=lambda one: -confusions[one])[:MOST_LABELS])


def _shortened(label: str) -> str:
    """Return a label that is not too wide: what tells labels apart stands at the end as often as at the beginning."""
    clean = _clean(label)
    if _units(clean) <= _LONGEST:
        return clean
    start, end = clean, clean
    while _units(start) > _LONGEST * 0.6:
        start = start[:-1]
    while _units(end) > _LONGEST * 0.4:
        end = end[1:]
    return f"{start}…{end}"


def _clean(label: str) -> str:
    """Return a label on one line, without what XML cannot hold."""
    return "".join(character for character in " ".join(label.split()) if unicodedata.category(character)[0] != "C")


def _width(text: str) -> float:
    return _units(text) * _CHARACTER


def _units(text: str) -> int:
    """Return the width of ``text``, in which a Han character takes as much as two of the Latin alphabet."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
