"""The pages about endpoints lead somewhere, and what they promise is tested."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
PAGES = [*sorted((DOCS / "endpoints").glob("*.md")), DOCS / "comparison.md", DOCS / "models.md"]
COMPARISON = (DOCS / "comparison.md").read_text(encoding="utf-8")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?: \"([^\"]*)\")?\)")
ROWS = [line for line in COMPARISON.splitlines() if re.match(r"\| (?!\*\*|\|)\S.* \|", line)]


def anchor_of(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def links_in(page: Path) -> list[str]:
    return [found[1] for found in LINK.finditer(page.read_text(encoding="utf-8")) if "://" not in found[1]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading_of_it(page: Path) -> None:
    for link in links_in(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(anchor_of, headings), link


@pytest.mark.parametrize(
    "name",
    [
        "real-time",
        "serverless",
        "asynchronous",
        "inference-components",
        "scaling",
        "deployment-guardrails",
        "data-capture",
    ],
)
def test_every_page_has_an_app_that_the_gates_synthesize(name: str) -> None:
    examples = [link for link in links_in(DOCS / "endpoints" / f"{name}.md") if link.startswith("../examples/")]

    assert examples


@pytest.mark.parametrize("name", ["framework_models", "model_kinds", "own_container"])
def test_the_page_about_models_has_their_apps(name: str) -> None:
    assert f"examples/{name}.py" in links_in(DOCS / "models.md")


def test_the_comparison_has_rows() -> None:
    assert len(ROWS) > 25


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_each_yes_of_ours_is_a_test(row: str) -> None:
    ours = row.split("|")[2].strip()
    found = list(LINK.finditer(ours))

    assert found, f"'{ours}' leads to no test"
    assert LINK.sub("*", ours) in {"*", "yes: " + ", ".join("*" * len(found))}, "something in it has no link"
    for link in found:
        tests = ast.parse((DOCS / link[1]).read_text(encoding="utf-8")).body
        assert link[2] in [each.name for each in tests if isinstance(each, ast.FunctionDef)]
