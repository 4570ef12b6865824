"""The `aero-search` command: finds the subcommand, and imports only what that one needs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from aero_search import __version__
from aero_search.errors import AeroSearchError, RequestError, nearest
from aero_search.passwords import masked

# One line each; a test freezes the names. A command's module is `aero_search.commands.<name>`.
COMMANDS = {
    "search": "search architectures: perplexity against private-inference cost and FLOPs",
    "plan": "dry run of a search: distinct architectures, their costs, hours of training",
    "train": "train one candidate, or every combination of a --multirun sweep",
    "ablate": "train the variants of a published table, each at its best learning rate, over seeds",
    "cost": "price an architecture without training it",
    "front": "print a study's front, or re-price it for another protocol or network",
    "report": "write one HTML page of a study that works offline",
    "export": "write one architecture of a study as a bundle, or for transformers or ONNX",
    "verify": "rebuild a bundle from its files alone, and compare its figures",
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

DONE, FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130


def usage() -> str:
    """The text of `aero-search --help`."""
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items())
    return f"""aero-search {__version__}: language-model architectures searched for private inference

usage: aero-search COMMAND [GROUP=OPTION | GROUP.FIELD=VALUE ...]

{lines}

Every command takes Hydra's flags: --multirun, --cfg job, --config-dir DIR, --help (all settings).

  aero-search search                                   the default search
  aero-search cost model=gpt2_small variant=sm_ln_g    what GPT-2 small costs under private inference
  aero-search train --multirun norm=layernorm,none activation=gelu,relu
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 the work failed, 2 the request was wrong, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return DONE if arguments else WRONG_REQUEST
    if arguments[0] in ("-V", "--version"):
        print(f"aero-search {__version__}")
        return DONE
    try:
        return _run(arguments[0], arguments[1:])
    except RequestError as problem:
        return _complain(problem, WRONG_REQUEST)
    except AeroSearchError as problem:
        return _complain(problem, FAILED)
    except ModuleNotFoundError as problem:
        missing = (problem.name or "").partition(".")[0]
        if missing in ("", "aero_search"):
            raise
        mend = f"pip install {missing.replace('_', '-')}{_INSTEAD.get(missing, '')}"
        return _complain(f"this needs the package {missing}, which is not installed: {mend}", FAILED)
    except KeyboardInterrupt:
        print("aero-search: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED


def _run(name: str, arguments: list[str]) -> int:
    if name not in COMMANDS:
        raise RequestError(f"'{name}' is not a command: {nearest(name, COMMANDS)}")
    command = importlib.import_module(f"aero_search.commands.{name}").COMMAND
    from aero_search.config.app import run_command

    return run_command(command, arguments)


def _complain(problem: Exception | str, code: int) -> int:
    print(f"aero-search: {masked(str(problem))}", file=sys.stderr)
    return code
