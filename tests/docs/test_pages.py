"""Links of the documentation lead somewhere, its index is complete, and its map names the packages there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/**/*.md")])
INDEX = (ROOT / "docs" / "index.md").read_text()


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub names them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(found), f"{page.name} links to {target}"


def test_the_index_lists_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w/]+\.md)\)", INDEX))
    pages = {str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md")}
    assert linked == pages - {"index.md"}


def test_no_page_to_work_with_is_long() -> None:
    """What one reads while doing something has at most 1,500 words; references and explanations may have more."""
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", INDEX, re.MULTILINE | re.DOTALL))
    for page in re.findall(r"\]\((\w+\.md)\)", sections["Tutorial"] + sections["How to"]):
        words = len((ROOT / "docs" / page).read_text().split())
        assert words <= 1500, (
            f"docs/{page} has {words} words: split it, or list it under Reference or Explanation"
        )


def test_the_map_names_every_package() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"^\| `(\w+)/` \|", text, re.MULTILINE))
    assert named == {path.parent.name for path in ROOT.glob("aero_search/*/__init__.py")}


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob(".github/ISSUE_TEMPLATE/*.yml")), ids=lambda path: path.name
)
def test_issue_forms_have_what_github_asks_for(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    if path.name == "config.yml":
        assert set(form) == {"blank_issues_enabled"}
        return
    assert {"name", "description", "body"} <= set(form)
    for field in form["body"]:
        assert field["type"] in ("input", "textarea", "dropdown", "checkboxes", "markdown")
        assert field["attributes"]["label"]
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))


def test_the_citation_is_of_this_version() -> None:
    import aero_search

    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == aero_search.__version__
    assert "2410.13060" in cited["references"][0]["url"]
