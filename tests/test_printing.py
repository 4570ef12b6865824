"""Text from files and databases steers no terminal, whatever prints it: what would is seen as an escape."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

import aero_search
from aero_search.cli import main
from aero_search.console import make_console, progress_bars
from aero_search.printing import print_line, visible

PACKAGE = Path(aero_search.__file__).parent
# A title, a colour, an 8-bit CSI, a carriage return, an override, an isolate, a mark of direction.
HOSTILE = "a\x1b]0;title\x07\x1b[31mb\x9b2J\rc\x7f\u202ed\u2066e\u200ff\u061c"
SEEN = r"a\x1b]0;title\x07\x1b[31mb\x9b2J\rc\x7f\u202ed\u2066e\u200ff\u061c"
STEERING = {
    *range(0x20),
    *range(0x7F, 0xA0),
    0x61C,
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
}


def test_every_steering_character_is_an_escape_and_all_others_stay() -> None:
    for code in range(0x3000):
        escape = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
        escape = {0xD: r"\r"}.get(code, escape)
        kept = code not in STEERING or chr(code) in "\n\t"
        assert visible(f"<{chr(code)}>") == f"<{chr(code) if kept else escape}>"
    assert visible(HOSTILE) == SEEN == visible(SEEN)


def test_a_console_shows_escapes_in_lines_titles_and_cells() -> None:
    file = io.StringIO()
    console = make_console(file=file, width=200)
    table = Table(title=f"title {HOSTILE}", caption=f"caption {HOSTILE}")
    table.add_column(f"heading {HOSTILE}")
    table.add_row(f"cell {HOSTILE}")
    table.add_row(Text(f"text {HOSTILE}"))
    console.print(f"line {HOSTILE}", Text(f"styled {HOSTILE}"))
    console.print(table)
    console.print(Panel("inside", title=Text(f"panel {HOSTILE}")))
    tree = Tree(f"root {HOSTILE}")
    tree.add(Text(f"branch {HOSTILE}"))
    console.print(tree)
    told = file.getvalue()
    assert not {ord(c) for c in told} & (STEERING - {0xA})
    # rich drops the bell and the carriage return of a `Text` as it is made.
    cut = SEEN.replace(r"\x07", "").replace(r"\r", "")
    for where in ("line", "title", "caption", "heading", "cell", "root"):
        assert f"{where} {SEEN}" in told
    for where in ("styled", "text", "panel", "branch"):
        assert f"{where} {cut}" in told


def test_a_table_keeps_its_columns() -> None:
    file = io.StringIO()
    table = Table("a", "b")
    table.add_row(HOSTILE, "x")
    table.add_row("y", "x")
    make_console(file=file, width=200).print(table)
    assert len({len(line) for line in file.getvalue().splitlines()}) == 1


def test_richs_own_styles_and_cursor_still_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    file = io.StringIO()
    console = make_console(file=file, width=80)
    with progress_bars(console, "{task.description}") as bars:
        bars.add_task(f"\x1b[2J{HOSTILE}", total=1)
    told = file.getvalue()
    assert "\x1b[?25l" in told
    assert r"\x1b[2J" in told
    assert "\x1b[2J" not in told
    console.print(Text.assemble(("red\x1b[2J", "red"), " plain"))
    assert "\x1b[31mred\x1b[0m\x1b[31m\\x1b\x1b[0m\x1b[31m[2J\x1b[0m plain" in file.getvalue()


def test_a_refusal_shows_escapes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "variant"
    folder.mkdir()
    (folder / "evil.yaml").write_text(
        f'# @package _global_\n"{ascii(HOSTILE)[1:-1]}": 1\n'.replace("\\r", "\\x0d")
    )
    assert main(["cost", "--config-dir", str(tmp_path), "variant=evil"]) == 2
    error = capsys.readouterr().err
    assert r"\x1b]0;title\x07" in error
    assert not {ord(c) for c in error} & (STEERING - {0xA})


def test_a_line_shows_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(HOSTILE)
    print_line(HOSTILE, stderr=True)
    assert capsys.readouterr() == (f"{SEEN}\n", f"{SEEN}\n")


def test_logs_and_warnings_show_escapes() -> None:
    code = (
        "import logging, sys, warnings\n"
        "from aero_search.printing import escape_logs\n"
        "escape_logs(); escape_logs()\n"
        "logging.getLogger('other').warning('log %s', sys.argv[1])\n"
        "warnings.warn('warned ' + sys.argv[1])\n"
    )
    hostile = HOSTILE.replace("\0", "")
    ended = subprocess.run([sys.executable, "-c", code, hostile], capture_output=True, text=True, check=True)
    assert f"log {SEEN}" in ended.stderr
    assert f"warned {SEEN}" in ended.stderr


def test_nothing_prints_text_in_another_way() -> None:
    """A bare `print` writes nothing, constants, or JSON, which `json` escapes itself."""
    # What each says has been escaped by then, or holds nothing from a file.
    own = {"printing.py", "cli.py", "config/hydra_main.py", "measure/environment.py"}
    found = []
    for path in sorted(PACKAGE.glob("**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                plain = [
                    ast.unparse(argument) for argument in node.args if not isinstance(argument, ast.Constant)
                ]
                if any(not text.startswith("json.dumps(") for text in plain):
                    found.append(str(path.relative_to(PACKAGE)))
    assert set(found) <= own
