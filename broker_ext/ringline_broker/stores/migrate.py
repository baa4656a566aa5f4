"""Brings a sqlite file to the newest schema: migrations/NNNN_name.sql, applied in order, each in its transaction."""

import sqlite3
from importlib.resources import files

from ringline_broker.service.ports import StoreUnavailable


def apply(db: sqlite3.Connection) -> None:
    """Apply what is missing; `PRAGMA user_version` holds the number of the newest applied.

    Raises:
        StoreUnavailable: the file was written by a newer version.
    """
    (standing,) = db.execute("PRAGMA user_version").fetchone()
    scripts = sorted(
        (int(file.name[:4]), file.read_text())
        for file in files("ringline_broker.stores.migrations").iterdir()
        if file.name.endswith(".sql")
    )
    if standing > scripts[-1][0]:
        raise StoreUnavailable(
            f"the store has schema {standing}, and this version of Ringline knows {scripts[-1][0]}: install a newer one"
        )
    for number, script in scripts:
        if number > standing:
            db.executescript(f"BEGIN;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
