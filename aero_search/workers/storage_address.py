"""Where a study's database is, when it is not the SQLite file under the output folder: a PostgreSQL address.

A password in it is moved to the environment at once, where PostgreSQL's own library looks for it: what is kept,
sent to workers, printed or written into a result holds the address without it.
"""

from __future__ import annotations

import importlib.util
import os
from urllib.parse import parse_qsl, urlsplit

from aero_search.errors import RequestError
from aero_search.invocation import install
from aero_search.passwords import is_secret, keep, masked, password_of, without_password

_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_EXAMPLE = "postgresql://USER@HOST:5432/DATABASE"


def read_address(said: str | None) -> str | None:
    """Check the address of a database; a password in it goes to this process's PGPASSWORD, for its children too.

    It may stand before the host or in the query.

    Returns:
        The address without its password; None for None.

    Raises:
        RequestError: it is no address of a PostgreSQL database, or has another secret than a password.
    """
    if said is None:
        return None
    try:
        parts = urlsplit(said)
        password, host, database, _ = password_of(said), parts.hostname, parts.path.strip("/"), parts.port
    except ValueError as problem:
        raise RequestError(f"search.storage={masked(said)} cannot be read: write {_EXAMPLE}") from problem
    if parts.scheme not in _SCHEMES:
        raise RequestError(
            f"search.storage={masked(said)} is no address of a PostgreSQL database: write {_EXAMPLE}, or "
            "search.storage=null for SQLite under output_dir"
        )
    if not database:
        # A socket's folder may stand in for the host (?host=/run/postgresql), a name for the database may not.
        raise RequestError(f"search.storage={masked(said)} names no database: write {_EXAMPLE}")
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if name != "password" and is_secret(name):
            raise RequestError(
                f"search.storage={masked(said)} has a secret under {name}, which would be written down: name a "
                "service (?service=NAME) and keep it in ~/.pg_service.conf"
            )
    if password:
        keep("PGPASSWORD", password, "search.storage")
    if host is None and "host=" not in parts.query and "PGHOST" not in os.environ:
        raise RequestError(f"search.storage={masked(said)} names no host: write {_EXAMPLE}")
    return "postgresql" + without_password(said).removeprefix(parts.scheme)


def check_driver(address: str) -> None:
    """Refuse an address that nothing installed here can open.

    Raises:
        RequestError: psycopg is missing.
    """
    if importlib.util.find_spec("psycopg") is None:
        raise RequestError(
            f"search.storage={masked(address)} needs the package psycopg: {install('postgres')}"
        )
