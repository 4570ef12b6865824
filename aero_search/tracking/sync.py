"""Sending what was kept while a tracking store was down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aero_search.errors import AeroSearchError, RequestError
from aero_search.passwords import masked
from aero_search.tracking import store
from aero_search.tracking.delivery import Delivery, sentence
from aero_search.tracking.journal import Journal, journal_of, journals
from aero_search.tracking.sender import send_kept
from aero_search.tracking.spec import TrackingSpec


def waiting(output_dir: Path, spec: TrackingSpec, named: bool) -> list[tuple[Journal, TrackingSpec]]:
    """What is to be sent, with the store that each journal goes to.

    Args:
        spec: the request's store; one with a password is known from here alone, for none is stored.
        named: the user has named it: it gets its own journal, or the only one, where the server has moved.

    Raises:
        RequestError: a named store has no journal and there are several, or an address lacks its password.
    """
    found = journals(output_dir)
    own = journal_of(spec, output_dir)
    if named and found:
        mine = [journal for journal in found if journal.folder == own.folder] or found
        if len(mine) > 1:
            known = ", ".join(sorted(journal.destination[0] for journal in mine))
            raise RequestError(
                f"tracking.uri={masked(str(spec.uri))} has nothing waiting for it: name one of {known}"
            )
        return [(mine[0], spec)]
    return [(journal, _spec_of(journal, spec, own)) for journal in found]


def send(
    journal: Journal, spec: TrackingSpec, output_dir: Path, told: Callable[[], None] = lambda: None
) -> str:
    """Send one journal to its end.

    Args:
        told: called after each operation.

    Returns:
        What was sent, in one sentence.

    Raises:
        AeroSearchError: the store does not take it, or refused a part for ever.
    """
    store.load()
    where = journal.destination[0]
    kept = send_kept(journal, Delivery(spec, output_dir), told)
    if kept.busy:
        raise AeroSearchError(f"another process is already sending what {where} has missed: wait for it")
    if kept.problem is not None:
        raise AeroSearchError(
            f"{where} does not take it ({sentence(kept.problem)}): {kept.sent} sent, {journal.count()} still wait; "
            "start the server and type this again"
        ) from kept.problem
    if kept.refused:
        raise AeroSearchError(
            f"{where} took {kept.sent} and refused {kept.refused}, which lie with its reasons in {kept.refused_in}"
        )
    return f"{kept.sent} operations sent to {where}: its record is complete"


def _spec_of(journal: Journal, spec: TrackingSpec, own: Journal) -> TrackingSpec:
    if journal.folder == own.folder:
        return spec
    uri, experiment = journal.destination
    if "***" in uri or journal.lacking:
        how = f"set {journal.lacking}, or " if journal.lacking else ""
        raise RequestError(f"the password of {uri} is not kept here: {how}say tracking.uri= with it")
    return TrackingSpec("mlflow", uri, experiment)
