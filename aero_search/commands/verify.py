"""`aero-search verify`: a bundle rebuilt from its files alone and compared with what it says of itself."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from aero_search.config.architecture import read_architecture
from aero_search.config.command import Command
from aero_search.config.request import Request
from aero_search.data.corpus import Corpus
from aero_search.export.load import Bundle
from aero_search.schema import to_mapping
from aero_search.user_path import user_path


@dataclass(frozen=True)
class VerifyOptions:
    """conf/verify.yaml"""

    bundle: str


def run(request: Request) -> None:
    """Check the bundle and print what was compared; the work has failed if something differs."""
    from aero_search.export.verify import verify_bundle
    from aero_search.export.verify_exports import exported_kind, verify_export

    path = user_path(request.options(VerifyOptions).bundle)
    kind = exported_kind(path)
    if kind == "bundle":
        verification = verify_bundle(path, read_architecture, lambda b, name: find_corpus(request, b, name))
    else:
        verification = verify_export(path, kind)
    if request.format == "json":
        said = {"bundle": str(path), "notation": verification.notation, "ok": not verification.differing}
        json.dump({**said, "checks": to_mapping(verification.checks)}, sys.stdout, indent=1)
        print()
    else:
        from aero_search.console import make_console
        from aero_search.report.verify import verification_table

        rows = ((check.name, check.state, check.told, check.found) for check in verification.checks)
        make_console().print(verification_table(f"{verification.notation}: {path}", rows))
    verification.require()


def find_corpus(request: Request, bundle: Bundle, fingerprint: str) -> Corpus | str:
    """The corpus of a fingerprint, or in words why the perplexity cannot be had again.

    It is looked for in the cache of this machine; where the user names `data`, that is prepared. No path that the
    bundle tells is followed: the bundle may be a stranger's.
    """
    from aero_search.data import prepare

    if any(name in ("data", "data.path") for name in request.override_names()):
        corpus = prepare(request.data.cut_for(bundle.architecture.seq_len), bundle.architecture.vocab_size)
        if corpus.fingerprint != fingerprint:
            return f"another corpus: data= has the fingerprint {corpus.fingerprint}, the bundle's has {fingerprint}"
        return corpus
    folder = request.data.cache_folder() / fingerprint
    if not fingerprint.isalnum() or not folder.is_dir():
        return f"the corpus {fingerprint} is not in this machine's cache: name it with data=..."
    return Corpus.open(folder)


COMMAND = Command(
    "verify",
    run,
    positional=("bundle",),
    waits_for="rebuilding the bundle from its files",
    settings=(
        "bundle",
        "data",
        "data.path",
        "format",
    ),
    examples=("verify outputs/exports/aero-knee",),
)
