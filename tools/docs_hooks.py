"""What mkdocs is told of this repository: navigation, files outside docs/, pages that come from the code."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs_reference import pages as reference_pages
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
# Where the site keeps what the pages link to outside docs/.
OUTSIDE = "repository"
_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
# A link whose text is a page's file name, as it is read on GitHub.
_NAMED = re.compile(r"\[([\w./-]+\.md)\]\(([^)\s#]+)")
_FENCE = re.compile(r"^ *(```|~~~)")
_ITEM = re.compile(r"^([-*]|\d+\.) ")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that come from the code, and every file that a page links to."""
    for name, text in reference_pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    waiting = [DOCS / file.src_uri for file in files.documentation_pages() if file.generated_by is None]
    seen = set(waiting)
    while waiting:
        page = waiting.pop()
        for path in _linked(page):
            if path in seen or not path.is_file():
                continue
            seen.add(path)
            if DOCS not in path.parents:
                files.append(File.generated(config, _address(path), abs_src_path=str(path)))
                waiting += [path] if path.suffix == ".md" else []
    return files


def on_config(config: Any) -> Any:
    """Take the navigation from the tables of docs/index.md."""
    sections: list[dict[str, Any]] = [{"Home": "index.md"}]
    for section in (DOCS / "index.md").read_text().split("\n## ")[1:]:
        title, _, rows = section.partition("\n")
        pages = [_address(path) for path in _links(rows, DOCS)]
        if title == "Reference":
            pages = [*(f"reference/{name}.md" for name in reference_pages()), *pages]
        sections.append({title: pages})
    config.nav = sections
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Read GitHub's Markdown as Python-Markdown does, and lead links to where the site has their files."""
    if page.file.generated_by is not None and page.file.abs_src_path is None:
        return markdown
    source = Path(page.file.abs_src_path)
    lines, fenced, before = [], False, ""
    for line in markdown.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            line = _NAMED.sub(lambda match: _titled(match, source), _pages_as_links(line))
            line = _LINK.sub(lambda match: _led(match, source, page.file.src_uri), line)
            # Python-Markdown wants an empty line before a list and a table.
            begins = _ITEM.match(line) and not _ITEM.match(before)
            if before.strip() and (begins or (line.startswith("|") and not before.startswith("|"))):
                lines.append("")
        lines.append(line)
        before = line
    return "\n".join(lines) + "\n"


def on_post_page(output: str, page: Any, config: Any) -> None:
    """Refuse what a reader without a connection would lack."""
    for address in re.findall(r'<(?:script|img)[^>]* src="(https?://[^"]+)"', output):
        raise PluginError(f"{page.file.src_uri} loads {address}")


def _pages_as_links(line: str) -> str:
    """`docs/rungs.md` in a sentence is a link to that page."""
    return re.sub(r"(?<![\[(`/\w])docs/((?:research/)?\w+\.md)(?!\w)", rf"[\1]({DOCS}/\1)", line)


def _titled(match: re.Match[str], source: Path) -> str:
    """The same link, its text the page's heading."""
    page = (source.parent / match[2]).resolve()
    heading = re.match(r"# (.+)", page.read_text()) if page.is_file() else None
    return f"[{heading[1]}]({match[2]}" if heading else match[0]


def _led(match: re.Match[str], source: Path, uri: str) -> str:
    target = match[2]
    if re.match(r"[a-z]+:", target):
        return match[0]
    path = (source.parent / target).resolve()
    there = posixpath.relpath(_address(path), posixpath.dirname(uri) or ".")
    return f"{match[1]}{there}{match[3] or ''}{match[4]}"


def _address(path: Path) -> str:
    """A file of the repository as the site names it."""
    return str(path.relative_to(DOCS) if DOCS in path.parents else Path(OUTSIDE) / path.relative_to(ROOT))


def _linked(page: Path) -> Iterator[Path]:
    yield from _links(page.read_text(), page.parent)


def _links(text: str, folder: Path) -> Iterator[Path]:
    for match in _LINK.finditer(text):
        if not re.match(r"[a-z]+:", match[2]):
            yield (folder / match[2]).resolve()
