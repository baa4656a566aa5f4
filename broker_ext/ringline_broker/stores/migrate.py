"""Brings a sqlite file to the newest schema: migrations/NNNN_name.sql, applied in order, each in its transaction.

Migrations may use two functions of ours: `size_of` and `maker_of` read an invitation's size and a group's maker from
their bodies. Of a body that cannot be read they say 0 and '', so that damage to one record stops no other.
"""

import sqlite3
from importlib.resources import files

from ringline_broker.service.ports import StoreUnavailable
from ringline_broker.stores.group_record import decode_group
from ringline_broker.stores.record import decode


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
    db.create_function("size_of", 1, _size_of)
    db.create_function("maker_of", 1, _maker_of)
    for number, script in scripts:
        if number > standing:
            db.executescript(f"BEGIN;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")


def _size_of(body: bytes) -> int:
    try:
        return decode(body).size
    except StoreUnavailable:
        return 0


def _maker_of(body: bytes) -> str:
    try:
        return decode_group(body).maker
    except StoreUnavailable:
        return ""
