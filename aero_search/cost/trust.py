"""Who must be trusted with what: the closed vocabulary of `protocol.trust`, and when a comparison crosses it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aero_search.errors import RequestError, nearest

TRUST: Mapping[str, str] = {
    "two_semi_honest": "two semi-honest parties, no third one",
    "dealer": "two semi-honest parties and a trusted dealer",
    "three_honest_majority": "three semi-honest parties, no two of which collude",
    "malicious": "parties that may deviate from the protocol",
}
"""Word and meaning, from what asks the least of others to what asks for other guarantees altogether."""

_WORDS_BEFORE = {meaning: word for word, meaning in TRUST.items()}


def trust_word(said: str) -> str:
    """The word of the vocabulary; files of version 0.1 wrote its meaning in full.

    Raises:
        RequestError: it is neither.
    """
    word = _WORDS_BEFORE.get(said, said)
    if word not in TRUST:
        raise RequestError(f"protocol.trust={said} is not a trust model: {nearest(said, TRUST)}")
    return word


def crossing(trusts: Iterable[str]) -> str:
    """One sentence where prices of several trust models stand beside each other; empty where it is one."""
    words = list(dict.fromkeys(trusts))
    if len(words) < 2:
        return ""
    meanings = "; ".join(f"{word}: {TRUST[word]}" for word in words)
    return f"These prices cross trust models, so the cheaper one may promise less ({meanings})."
