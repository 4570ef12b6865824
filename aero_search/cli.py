"""The `aero-search` command: finds the subcommand, and imports only what that one needs."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence

from aero_search import unforeseen
from aero_search.errors import AeroSearchError, RequestError, nearest
from aero_search.interrupts import ended_by_signals
from aero_search.invocation import typed
from aero_search.passwords import masked
from aero_search.printing import print_line, visible
from aero_search.version import __version__
from aero_search.waiting import QUIET, doing, listening

# One line each; a test freezes the names. A command's module is `aero_search.commands.<name>`.
COMMANDS = {
    "search": "search architectures: perplexity against private-inference cost and FLOPs",
    "plan": "dry run of a search: distinct architectures, their costs, hours of training",
    "train": "train one candidate, or every combination of a --multirun sweep",
    "ablate": "train the variants of a published table, each at its best learning rate, over seeds",
    "cost": "price an architecture without training it",
    "front": "print a study's front, or re-price it for another protocol or network",
    "studies": "list, show, rename, archive or delete the studies of a folder",
    "repair": "make a damaged database of studies again from their folders",
    "report": "write one HTML page of a study that works offline",
    "export": "write one architecture of a study as a bundle, or for transformers or ONNX",
    "verify": "rebuild a bundle from its files alone, and compare its figures",
    "evaluate": "score a bundle on held-out text, or on tasks of lm-evaluation-harness",
    "measure": "run real two-party private inference and compare it with the estimate",
    "calibrate": "fit a protocol and a network, and write them as files",
    "sync": "upload runs logged while the tracking server was unreachable",
    "ui": "open the MLflow dashboard on the local store",
    "doctor": "check the installation and suggest fixes",
}

# What needs less, where a part of a whole installation is missing.
_INSTEAD = dict.fromkeys(
    ("tokenizers", "tiktoken", "platformdirs"), ", or set data=tokenized data.path=FOLDER"
)

_CLOSED = "the reader of the output has gone before its end"
DONE, FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130


def usage() -> str:
    """The text of `aero-search --help`."""
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items())
    return f"""aero-search {__version__}: language-model architectures searched for private inference

usage: {typed("COMMAND")} [GROUP=OPTION | GROUP.FIELD=VALUE ...]

{lines}

Every command takes Hydra's flags: --multirun, --cfg job, --config-dir DIR, --help.
Completion in this shell: eval "$({typed("--completion bash")})"  (or zsh)

  {typed("search")}
  {typed("cost model=gpt2_small variant=sm_ln_g")}
  {typed("train --multirun norm=layernorm,none activation=gelu,relu")}
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 1 the work failed, 2 the request was wrong, 130 interrupted (128 + n by signal n). Nothing is
        raised: what no code foresaw is told in one sentence, and AERO_SEARCH_DEBUG=1 shows where it was raised.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        _import_nothing_from_here()
        # Folders of results and corpora are read back and believed: no other user writes into what is made here.
        os.umask(os.umask(0o022) | 0o002)
    signals: list[signal.Signals] = []
    unforeseen.start_reading()
    _print_what_can_be()
    try:
        with ended_by_signals(signals):
            try:
                code = _run(arguments, argv is None)
                sys.stdout.flush()
                return code
            except BaseException:
                if unforeseen.debugging():
                    import traceback

                    print_line(masked(traceback.format_exc()), stderr=True)
                raise
    except RequestError as problem:
        return _complain(problem, WRONG_REQUEST)
    except AeroSearchError as problem:
        return _complain(problem, FAILED)
    except ModuleNotFoundError as problem:
        missing = (problem.name or "").partition(".")[0]
        if missing in ("", "aero_search"):
            return _complain(_tell(problem, arguments), FAILED)
        mend = f"pip install {missing.replace('_', '-')}{_INSTEAD.get(missing, '')}"
        return _complain(f"this needs the package {missing}, which is not installed: {mend}", FAILED)
    except KeyboardInterrupt:
        # Pressed again, Ctrl-C would end this sentence in a traceback; after it, it ends the process at once.
        if argv is None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        how, code = (
            (f"ended by {signals[0].name}", 128 + signals[0]) if signals else ("interrupted", INTERRUPTED)
        )
        _complain(f"{how}; the same command resumes", code)
        if argv is None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        return code
    except SystemExit as stop:
        # How argparse ends, and rich where nobody reads any longer.
        if isinstance(stop.__context__, BrokenPipeError):
            return _complain(_CLOSED, FAILED)
        return stop.code if isinstance(stop.code, int) else DONE if stop.code is None else FAILED
    except BrokenPipeError:
        return _complain(_CLOSED, FAILED)
    except Exception as problem:
        from aero_search.disk import full_sentence, is_full

        if is_full(problem):
            return _complain(full_sentence(problem), FAILED)
        if sentence := unforeseen.too_long(problem, arguments):
            return _complain(sentence, WRONG_REQUEST)
        # What else the system refuses no request can help.
        wrong_request = unforeseen.is_reading() and not isinstance(problem, OSError)
        return _complain(_tell(problem, arguments), WRONG_REQUEST if wrong_request else FAILED)
    finally:
        if argv is None:
            # The process ends. With PyTorch loaded the collections of the interpreter's end take a second or more,
            # silently, for memory that the system takes back anyway.
            gc.freeze()


def _import_nothing_from_here() -> None:
    """Leave the current folder, which may be a stranger's bundle, out of what this process and its children import.

    `python -m` and `python -c` put it first, and Hydra imports every `hydra_plugins` that it finds. A checkout that
    is run without being installed stays: there this package itself comes from the current folder.
    """
    try:
        here = os.path.realpath(os.getcwd())  # noqa: PTH109  # pathlib's import is not free
    except OSError:
        return
    ours = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120  # as above
    if here == ours:
        return
    if not sys.flags.safe_path and sys.path and os.path.realpath(sys.path[0]) == here:
        del sys.path[0]
    # Python's own switch, for workers behind any launcher and for servers.
    os.environ.setdefault("PYTHONSAFEPATH", "1")


def _run(arguments: list[str], alone: bool) -> int:
    """Run one command.

    Args:
        alone: in a process of its own, whose silence is explained.
    """
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return DONE if arguments else WRONG_REQUEST
    if arguments[0] in ("-V", "--version"):
        print(f"aero-search {__version__}")
        return DONE
    if arguments[0].partition("=")[0] in ("--completion", "--complete"):
        _complete(*arguments[:2])
        return DONE
    name = arguments[0]
    if name not in COMMANDS:
        raise RequestError(f"'{name[:60]}' is not a command: {nearest(name[:60], COMMANDS)}")
    try:
        os.getcwd()  # noqa: PTH109  # Path.cwd is this, and pathlib's import is not free
    except OSError as problem:
        raise AeroSearchError("the current folder has been removed: cd into one that exists") from problem
    # Help is there at once.
    helps = any(argument.startswith(("-h", "--h")) for argument in arguments)
    with (
        contextlib.nullcontext()
        if helps or not alone or os.environ.get(QUIET)
        else listening("loading the settings")
    ):
        command = importlib.import_module(f"aero_search.commands.{name}").COMMAND
        doing(command.waits_for)
        from aero_search.config.hydra_main import run_command

        return run_command(command, arguments[1:])


def _complete(flag: str, said: str = "bash") -> None:
    """Print what a shell reads once (`--completion SHELL`), or at each completion (`--complete LINE`)."""
    from aero_search.config.completion import completions, script

    flag, equals, value = flag.partition("=")
    if flag == "--completion":
        print(script(value if equals else said), end="")
    else:
        print("\n".join(completions(value if equals else said, COMMANDS)))


def _tell(problem: Exception, arguments: Sequence[str]) -> str:
    """The sentence for what no code foresaw."""
    if unforeseen.is_reading():
        # A refused request leaves nothing behind, so no file.
        return f"{unforeseen.described(problem)}; {unforeseen.DEBUG}=1 shows where it was raised"
    return unforeseen.tell(problem, arguments, lambda text: visible(masked(text)))


def _complain(problem: Exception | str, code: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        print_line(f"aero-search: {masked(str(problem))}", stderr=True)
    _drop_unwritten()
    return code


def _print_what_can_be() -> None:
    """Letters that the terminal's encoding lacks are written as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _drop_unwritten() -> None:
    """What stdout could not take is dropped, or the interpreter would complain about it at its exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
