from __future__ import annotations

import re
from xml.etree import ElementTree

from confusion_picture import MOST_LABELS, confusion_picture

SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: str) -> list[str]:
    found = parsed(picture).iter(f"{SVG}text")
    return [(element.text or "") + "".join(child.tail or "" for child in element) for element in found]


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)  # noqa: S314  # our own


def test_a_cell_has_the_number_of_texts_and_is_darker_the_larger_its_part_of_the_row() -> None:
    picture = confusion_picture(["好评", "差评"], [[30, 10], [0, 1]], title="版本 1")

    assert texts(picture)[0] == "版本 1"
    assert [text for text in texts(picture) if text.isdigit()] == ["30", "10", "1"]
    cells = [cell for cell in parsed(picture).iter(f"{SVG}rect") if "cell" in cell.get("class", "")]
    assert [cell.get("class") for cell in cells] == ["cell right", "cell wrong", "cell empty", "cell right"]
    assert [float(cell.get("fill-opacity", "")) for cell in cells] == [0.78, 0.34, 0.12, 1.0]
    assert "30 of 40" in picture


def test_labels_stand_at_rows_and_columns_whatever_characters_they_have() -> None:
    labels = ['<script>alert("x")</script>', "a & b", "tab\tand\nline\x00\x1b", "\ud800 lone"]
    picture = confusion_picture(labels, [[1] * 4 for _ in labels], title="<&>\x07")

    picture.encode("utf-8")
    assert "<script" not in picture
    assert texts(picture).count("a & b") == 2
    assert texts(picture).count("tab and line") == 2
    titles = [element.text for element in parsed(picture).iter(f"{SVG}title")]
    assert '<script>alert("x")</script>' in titles


def test_nothing_stands_outside_of_the_picture() -> None:
    for labels in (["a", "b"], ["非常长的标签名称非常长的标签名称" * 3 + str(number) for number in range(20)]):
        picture = confusion_picture(labels, [[1] * len(labels) for _ in labels], title="accuracy 0.916, macro-F1 0.921")
        root = parsed(picture)
        width, height = float(root.get("width", "")), float(root.get("height", ""))
        for cell in root.iter(f"{SVG}rect"):
            if cell.get("class") != "page":
                assert float(cell.get("x", "")) + 44 <= width
                assert float(cell.get("y", "")) + 44 <= height
        assert len({text for text in texts(picture) if "…" in text}) == (len(labels) if len(labels) == 20 else 0)


def test_of_many_labels_those_are_shown_that_are_confused_most() -> None:
    size = 77
    rows = [[100 if row == column else 0 for column in range(size)] for row in range(size)]
    for number in range(19):
        rows[70 - number][0] = 5
    picture = confusion_picture([f"label-{number}" for number in range(size)], rows, title="77")

    assert f"the {MOST_LABELS} of 77 labels that are confused most" in picture
    shown = set(re.findall(r">(label-\d+)<", picture))
    assert shown == {"label-0", *(f"label-{number}" for number in range(52, 71))}


def test_it_has_colours_for_light_and_for_dark_pages() -> None:
    picture = confusion_picture(["a", "b"], [[1, 0], [0, 1]], title="")

    assert "@media (prefers-color-scheme: dark)" in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
