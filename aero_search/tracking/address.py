"""The address of a tracking store: a password in it goes to the environment, where MLflow and libpq look for it.

What is kept, sent to workers, printed or logged holds the address without it.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from aero_search.errors import RequestError
from aero_search.passwords import keep, masked, password_of, without_password

FIELD = "tracking.uri"
USERNAME, PASSWORD, PGPASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "PGPASSWORD"


def sqlite_address(path: Path) -> str:
    """The address of a SQLite file as SQLAlchemy and urllib read it: both give `path` back.

    `%`, `?` and `#`, which have a meaning in an address, are escaped. All other letters stay, so that common
    folders keep the address that their studies were made with.
    """
    return f"sqlite:///{re.sub('[%?#]', lambda found: quote(found[0]), str(path.resolve()))}"


def read_address(said: str | None) -> str | None:
    """The address without the password of a web server or a PostgreSQL database, which is put into the environment.

    Returns:
        None for None; the address of any other kind of store as it is.

    Raises:
        RequestError: it cannot be read.
    """
    if said is None:
        return None
    try:
        parts = urlsplit(said)
        user, password, _ = parts.username, parts.password, parts.port
    except ValueError as problem:
        raise RequestError(f"{FIELD}={masked(said)} cannot be read: write http://HOST:5000") from problem
    holder = variable(said)
    if holder == PASSWORD and user and password:
        keep(USERNAME, unquote(user), FIELD)
        keep(PASSWORD, unquote(password), FIELD)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    if holder == PGPASSWORD and (found := password_of(said)):
        keep(PGPASSWORD, found, FIELD)
        return without_password(said)
    return said


def variable(uri: str) -> str | None:
    """The variable that holds the password of a store; None where its kind has none."""
    scheme = urlsplit(uri).scheme.lower().partition("+")[0]
    return {"http": PASSWORD, "https": PASSWORD, "postgresql": PGPASSWORD, "postgres": PGPASSWORD}.get(scheme)
