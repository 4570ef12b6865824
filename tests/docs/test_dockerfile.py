"""The Dockerfile copies what a build needs, and what it runs exists. No image is built."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from aero_search.cli import COMMANDS
from tools.walk import steps_of

ROOT = Path(__file__).parents[2]
LINES = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text()).splitlines()
STEPS = [(word, rest) for word, _, rest in (line.partition(" ") for line in LINES) if word.isupper()]


def test_what_is_copied_exists_and_is_what_the_wheel_is_made_of() -> None:
    copied = {name for word, rest in STEPS if word == "COPY" for name in rest.split()[:-1]}
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert {*packed, "pyproject.toml", "constraints.txt", "README.md", "LICENSE"} <= copied
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert not copied & set(ignored)


def test_what_is_run_is_a_target_of_make_and_a_command() -> None:
    makefile = (ROOT / "Makefile").read_text()
    runs = " ".join(rest for word, rest in STEPS if word == "RUN")
    targets = set(re.findall(r"\bmake (\w+)", runs))
    assert "install" in targets
    assert all(re.search(rf"^{name}:", makefile, re.M) for name in targets)
    (entry,) = (json.loads(rest) for word, rest in STEPS if word == "ENTRYPOINT")
    (default,) = (json.loads(rest) for word, rest in STEPS if word == "CMD")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert entry == list(scripts)
    assert default[0] in COMMANDS


def test_the_page_runs_commands_that_exist() -> None:
    page = (ROOT / "docs" / "install.md").read_text()
    said = re.findall(r"docker run .* aero-search(?: (\w+.*))?$", page, re.M)
    assert said
    assert {line.split()[0] for line in said if line} <= COMMANDS.keys()


def test_its_commands_are_those_of_the_readme() -> None:
    (default,) = (json.loads(rest) for word, rest in STEPS if word == "CMD")
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^search:.*\n\t\$\(BIN\)/aero-search {' '.join(default)} \$\(ARGS\)$", makefile, re.M)
    typed = [step.line.partition("aero-search ")[2] for step in steps_of((ROOT / "README.md").read_text())]
    page = (ROOT / "docs" / "install.md").read_text()
    for line in re.findall(r"docker run .* aero-search (\w+.*)$", page, re.M):
        assert any(f"{other} ".startswith(f"{line} ") for other in typed), line
