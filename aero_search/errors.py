"""The errors a user can mend, each one sentence that names the field, the value and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AeroSearchError(Exception):
    """The work failed; the command line prints the message and exits 1."""


class RequestError(AeroSearchError):
    """The request was wrong; the command line prints the message and exits 2."""


class UnsafeFileError(AeroSearchError):
    """A file from outside is more than plain data, or leads out of its folder."""


def nearest(value: object, choices: Iterable[object]) -> str:
    """Say which choice `value` was probably meant to be, and list them all.

    Returns:
        For example ``did you mean 'layernorm'? (choices: layernorm, none)`` or ``choose one of asha, none``.
    """
    names = sorted({str(choice) for choice in choices})
    listed = ", ".join(names)
    close = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'? (choices: {listed})"
    return (
        f"choose one of {listed}" if len(names) > 1 else f"there is {f'only {listed}' if names else 'none'}"
    )
