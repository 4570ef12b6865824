"""Walk through README and tutorial as a newcomer does: from an empty clone, every command as typed, in their order.

    python -m tools.walk            # the tutorial at its full length, installation and all: some ten minutes
    python -m tools.walk --short    # both pages; short trainings, and the packages of this environment: minutes
    python -m tools.walk README.md  # another page, at its full length

The clone is of the last commit; the shell is a plain bash without `.venv` on its path and without a terminal. The
walk fails where a command's exit code is not 0, where a block below a command is not what it prints, and where
nothing is printed for more than 2 s after a line that does not say what is waited for: one that does ends in " ..."
or counts ("3 of 8", "[3/8]").
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/tutorial.md")
# What a page tells to type: the program's own commands, and how to get and find it.
_TYPED = re.compile(r"(\.venv/bin/)?aero-search [a-z]|make [a-z]|source \.venv/bin/activate")
# Seconds of silence that need a word before them.
PATIENCE_S = 2.0
_EXPLAINS = re.compile(r"(\.\.\.|…)$|\d+ of \d+|\d+/\d+")
# What a newcomer's shell has not; `make walk ARGS=--short` would hand its ARGS to the `make search` that is typed.
_OURS = ("AERO_SEARCH_", "VIRTUAL_ENV", "MAKE", "MFLAGS", "ARGS")
# A server that stays up says so, and is then stopped as its line tells.
_STAYS = "(Ctrl-C stops it)"

_SHORT = """
import sys
from aero_search.cli import main
if sys.argv[1:2] in (["search"], ["train"], ["ablate"]):
    sys.argv += {overrides}
    sys.argv += ["ladder.lr=[4e-3]", "ladder.seeds=[0]"] if sys.argv[1] == "ablate" else []
sys.exit(main())
"""
# What makes a training of any page one of moments; the corpus is the walk's own.
SHORTER = (
    "model.n_layer=2", "model.d_model=16", "model.n_head=2", "model.seq_len=16", "model.vocab_size=300",
    "data=text_folder", "data.path=my_texts", "recipe=proxy_adamw", "recipe.steps=12", "recipe.batch_size=8",
    "recipe.validate_every=30", "recipe.validation_sequences=16", "search.confirm=0", "search.n_trials=2",
    "search.workers=1",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A command of a page, and the block below it that shows what it prints."""

    line: str
    shown: str = ""


@dataclass(frozen=True)
class Heard:
    """Some output, and when it came: seconds since the command was typed."""

    at: float
    text: str


def steps_of(page: str) -> list[Step]:
    """The commands in a page's blocks, in their order."""
    found: list[Step] = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        lines = [re.split(r"\s+# ", line)[0] for line in block.splitlines()]
        commands = [line for line in lines if _TYPED.match(line)]
        if language in ("", "sh") and commands:
            found += map(Step, commands)
        elif language == "text" and found:
            found[-1] = Step(found[-1].line, block)
    return found


def missing_line(step: Step, output: str) -> str | None:
    """The first line of the block that the output lacks, in the block's order.

    Lines with digits count for `cost` alone: those of a training differ from machine to machine.
    """
    exact = " cost " in step.line
    # Whole lines where they are exact; elsewhere where a sentence breaks depends on its numbers too.
    gap = "\n" if exact else " "
    said = gap.join(["", *map(_plain, output.splitlines()), ""])
    for line in map(_plain, step.shown.splitlines()):
        if line.strip("─") in ("", "...") or (not exact and re.search(r"\d", line)):
            continue
        _, found, rest = said.partition(f"{gap}{line}{gap}")
        if not found:
            return line
        said = gap + rest
    return None


def _plain(line: str) -> str:
    """A line without what follows from its numbers: widths of columns, and the units that a column is shown in."""
    words = line.replace(".venv/bin/aero-search", "aero-search").split()
    return " ".join("(unit)" if re.fullmatch(r"\((ms|s|min|h|[kKMG])\)", word) else word for word in words)


def unexplained(heard: Sequence[Heard], end: float) -> list[str]:
    """The waits of more than `PATIENCE_S` after a line that does not say why, each in a sentence."""
    found, last, line = [], 0.0, ""
    for piece in (*heard, Heard(end, "")):
        if piece.at - last > PATIENCE_S and not _EXPLAINS.search(line.rstrip()):
            found.append(f"{piece.at - last:.1f} s of silence after {line.strip()!r}")
        last = piece.at
        # What pip warns of is news of a machine's configuration, and no end of the wait.
        news = [text for text in piece.text.splitlines() if text.strip() and not text.startswith("WARNING:")]
        line = [line, *news][-1]
    return found


class Shell:
    """One bash in which lines are typed, so that what they set stays set."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=folder, env=environment, bufsize=0, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            # Ctrl-C ends what it runs, also where this program was started in the background, deaf to it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip

    def type(self, line: str) -> tuple[int, list[Heard], float]:
        """Run a line; returns its exit code, what it printed, and the seconds it took."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        mark = f"walk-{time.monotonic_ns()}"
        start = time.monotonic()
        # What a line starts has nothing to read: its own input is the next line.
        self._bash.stdin.write(f"{line} < /dev/null; echo {mark} $?\n".encode())
        heard: list[Heard] = []
        while not (ended := re.search(rf"{mark} (\d+)\n", "".join(piece.text for piece in heard[-2:]))):
            text = os.read(self._bash.stdout.fileno(), 1 << 16).decode(errors="replace")
            if not text:
                raise SystemExit(f"the shell ended at: {line}")
            heard.append(Heard(time.monotonic() - start, text))
            if _STAYS in text:
                self._interrupt()
        seconds = time.monotonic() - start
        return int(ended[1]), [Heard(p.at, re.sub(rf"{mark} \d+\n", "", p.text)) for p in heard], seconds

    def _interrupt(self) -> None:
        """Ctrl-C for what runs in the foreground."""
        pid = self._bash.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(child), signal.SIGINT)

    def close(self) -> None:
        self._bash.kill()
        self._bash.wait()


def walk(page: Path, shell: Shell, short: bool) -> Iterator[str]:
    """Type the commands of a page, print a line for each, and yield what is wrong, in sentences."""
    for step in steps_of(page.read_text()):
        if short and (step.line in ("make install", "make mpc") or "measure.python=" in step.line):
            continue
        code, heard, seconds = shell.type(step.line)
        output = "".join(piece.text for piece in heard)
        first = next((piece.at for piece in heard if piece.text.strip()), seconds)
        wrong = [] if code == 0 else [f"exit code {code}: {output[-2000:]}"]
        if (missing := missing_line(step, output)) is not None:
            wrong.append(f"no longer prints: {missing}\n{output[-4000:]}")
        wrong += unexplained(heard, seconds)
        print(f"{seconds:7.1f} s, first word {first:4.1f} s  {step.line}", flush=True)
        for sentence in wrong:
            print(f"          {sentence}", flush=True)
            yield f"{page.name}: {step.line}: {sentence}"


def borrow_environment(clone: Path) -> None:
    """A `.venv` of the clone with the packages of this environment, whose trainings are short."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(clone / ".venv")], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = clone / ".venv" / "lib" / version / "site-packages"
    # This environment's own .pth files count too, as it may borrow itself; the clone comes before its checkout.
    hooked = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})"
    (packages / "borrowed.pth").write_text(f"{clone}\n{hooked}\n")
    script = clone / ".venv" / "bin" / "aero-search"
    script.write_text(f"#!{clone}/.venv/bin/python\n{_SHORT.format(overrides=list(SHORTER))}")
    script.chmod(0o755)
    (clone / ".venv" / "installed").touch()


def my_texts(clone: Path) -> None:
    """The folder of a user's own texts that README names."""
    (clone / "my_texts").mkdir()
    for path in sorted(ROOT.glob("docs/*.md")):
        shutil.copy(path, clone / "my_texts" / f"{path.stem}.txt")


def newcomers(environment: Mapping[str, str]) -> dict[str, str]:
    """What a newcomer's shell has of these: nothing of ours, nothing of make's, no `.venv` on the path."""
    kept = {name: value for name, value in environment.items() if not name.startswith(_OURS)}
    path = (part for part in kept["PATH"].split(os.pathsep) if ".venv" not in part)
    return kept | {"PATH": os.pathsep.join(path)}


def main() -> int:
    """Returns 1 where anything is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="*")
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    pages = options.pages or (PAGES if options.short else PAGES[1:])
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="walk-") as folder:
        for page in pages:
            clone = Path(folder) / Path(page).stem
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
            my_texts(clone)
            if options.short:
                borrow_environment(clone)
            shell = Shell(clone, newcomers(os.environ) | {"AERO_SEARCH_CACHE": str(clone / "cache")})
            try:
                wrong += walk(clone / page, shell, options.short)
            finally:
                shell.close()
    print("\n".join(wrong) or "every command works as typed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
