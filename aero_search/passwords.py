"""Passwords in addresses: shown as stars, left out of what is kept, and handed to libraries by the environment.

A password may stand before the host (`http://user:password@host`, or a token alone), in the query
(`?user=u&password=p`, `?access_token=t`), or as a variable (`PGPASSWORD=p`), percent-encoded or not.
"""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit

from aero_search.errors import RequestError

_STARS = "***"
# Before the host. A password may hold a slash or an @ that nobody has encoded: the longest match goes first.
_USERINFO = re.compile(r"(?P<before>://[^:/@\s'\"]*):(?:[^/\s'\"]+|[^@\s'\"]+)@")
# A name without a password is a name in a database's address, and a token in a web server's.
_TOKEN = re.compile(r"(?P<before>\bhttps?://)[^:/@\s'\"]+:?@", re.IGNORECASE)
# One entry of a query or of a fragment.
_ENTRY = re.compile(r"(?P<before>[?&;#])(?P<name>[^=&;#?\s'\"]+)=(?P<value>[^&;#\s'\"]*)")
_QUERY = re.compile(r"\?(?P<entries>[^?#\s'\"]+)")
_SECRET_NAME = re.compile(
    r"(?:.*[._-])?(?:pass|pw|pwd|auth|key|sig|token|secret|credentials?)|"
    r".*(?:password|passwd|passphrase|api_?key|access_?key|private_?key|signature)|"
    r".*(?:auth|access|refresh|id|session|bearer)_?token|.*client_?secret",
    re.IGNORECASE,
)
# Outside of addresses: variables and keywords, and what a request's header says.
_VARIABLE = re.compile(
    r"(?P<before>\b\w*?(?:PASSWORD|PASSWD|PGPASS|_TOKEN|_SECRET|API_?KEY)(?:=|['\"]\s*[:=])\s*)"
    r"(?P<value>'[^']*'|\"[^\"]*\"|[^\s'\",;&)]+)",
    re.IGNORECASE,
)
_HEADER = re.compile(r"(?P<before>\b(?:Basic|Bearer)\s+)[\w.~+/=-]{8,}", re.IGNORECASE)

# Variable: the field that has set it in this process, and to what.
_kept: dict[str, tuple[str, str]] = {}


def masked(text: str) -> str:
    """The text with stars for every password and token; what is shown, logged or written passes through here."""
    if "://" in text:
        text = _USERINFO.sub(rf"\g<before>:{_STARS}@", text)
        text = _TOKEN.sub(rf"\g<before>{_STARS}@", text)
        text = _ENTRY.sub(_masked_entry, text)
    text = _VARIABLE.sub(rf"\g<before>{_STARS}", text)
    return _HEADER.sub(rf"\g<before>{_STARS}", text)


def without_password(text: str) -> str:
    """The text with the passwords of its addresses left out: addresses that can be used where those are known."""
    return _QUERY.sub(_open_query, _USERINFO.sub(r"\g<before>@", text))


def password_of(address: str) -> str | None:
    """The decoded password of a PostgreSQL address; like libpq, one in the query before one in front of the host.

    Raises:
        ValueError: it is no address.
    """
    parts = urlsplit(address)
    said = [value for name, value in parse_qsl(parts.query) if name == "password"]
    return said[-1] if said else unquote(parts.password) if parts.password else None


def keep(variable: str, password: str, field: str) -> None:
    """Put a password into this process's environment, for libraries and for child processes.

    Args:
        field: the setting that had it, in messages.

    Raises:
        RequestError: another setting has put a different one there.
    """
    other, known = _kept.get(variable, (field, password))
    if other != field and known != password and os.environ.get(variable) == known:
        raise RequestError(
            f"{other} and {field} have different passwords, and {variable} holds one: leave both out and write "
            "them into ~/.pgpass"
        )
    if known != password or other == field:
        _kept[variable] = (field, password)
    os.environ[variable] = password


def is_secret(name: str) -> bool:
    """Whether an entry of a query with this name, percent-encoded or not, is a password or a token."""
    return _SECRET_NAME.fullmatch(unquote_plus(unquote(name))) is not None


def _masked_entry(entry: re.Match[str]) -> str:
    return f"{entry['before']}{entry['name']}={_STARS}" if is_secret(entry["name"]) else entry[0]


def _open_query(query: re.Match[str]) -> str:
    """A query without its secrets."""
    kept = [entry for entry in query["entries"].split("&") if not is_secret(entry.partition("=")[0])]
    return f"?{'&'.join(kept)}" if any(kept) else ""
