"""The password file: one `user:hash` a line, hashes by argon2id, read again whenever it changes.

A verification takes tenths of a second of CPU by intention, so it runs off the event loop, at most four at once, and
a keyed digest of a password that was right is kept in memory: a reconnect costs microseconds. The key is random and
lives as long as the process; the digests go when the file changes.
"""

import asyncio
import hashlib
import hmac
import logging
import os
import secrets
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from ringline.protocol.errors import RinglineError
from ringline.protocol.topics import id_fault

log = logging.getLogger(__name__)

AT_ONCE: Final = 4
MAX_PASSWORD_BYTES: Final = 1_024


class BadUsersFile(RinglineError):
    """The password file cannot be read, or a line of it makes no sense."""


def new_hasher() -> PasswordHash:
    """The hash that passwords are kept as: argon2id as the library recommends it."""
    return PasswordHash((Argon2Hasher(),))


class UsersFile:
    """Reads and writes the file.

    Args:
        path: the file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, str]:
        """The hashes by user; none where there is no file.

        Raises:
            BadUsersFile: it cannot be read, or a line is not `user:hash`.
        """
        try:
            lines = self.path.read_text(encoding="utf-8").split("\n")  # an id may have other line ends in it
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as failed:
            raise BadUsersFile(f"cannot read {self.path}: {failed}") from failed
        users: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            user, colon, hashed = line.rpartition(":")  # an id may have a colon
            if not colon or id_fault(user) is not None or not Argon2Hasher.identify(hashed):
                raise BadUsersFile(f"{self.path}, line {number}: not `user:hash`, with a hash of argon2")
            users[user] = hashed
        return users

    def write(self, users: dict[str, str]) -> None:
        """Replace the file in one step, readable by its owner alone.

        Raises:
            BadUsersFile: it cannot be written.
        """
        text = "".join(f"{user}:{hashed}\n" for user, hashed in sorted(users.items()))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)  # mode 0600
            try:
                with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self.path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as failed:
            raise BadUsersFile(f"cannot write {self.path}: {failed}") from failed

    def stamp(self) -> tuple[int, int, int] | None:
        """What changes when the file does."""
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


class PasswordCheck:
    """Checks passwords against a users file.

    Args:
        file: where the hashes are.

    Raises:
        BadUsersFile: it cannot be read now. Later, the last good state stays in force.
    """

    def __init__(self, file: UsersFile) -> None:
        self._file = file
        self._hasher = new_hasher()
        self._stamp = file.stamp()
        self._users = file.read()
        self._key = secrets.token_bytes(32)
        self._right: dict[str, bytes] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, "ringline-passwords")
        self._nobody = self._hasher.hash(secrets.token_hex())
        self.verifications = 0

    async def is_right(self, user: str, password: bytes) -> bool:
        """Whether this is the user's password. An unknown user costs as much time as a wrong password."""
        if len(password) > MAX_PASSWORD_BYTES:
            return False
        self._refresh()
        hashed = self._users.get(user)
        digest = self._digest(user, password, hashed or "")
        known = self._right.get(user)
        if known is not None and hmac.compare_digest(known, digest):
            return True
        self.verifications += 1
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(self._pool, self._hasher.verify, password, hashed or self._nobody)
        if not right or hashed is None:
            return False
        if self._users.get(user) == hashed:
            self._right[user] = digest
        return True

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _refresh(self) -> None:
        stamp = self._file.stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._users = self._file.read()
        except BadUsersFile as bad:
            log.error("%s; the users known before stay", bad)  # noqa: TRY400 - the error says what to do
            return
        self._right.clear()

    def _digest(self, user: str, password: bytes, hashed: str) -> bytes:
        text = b"\0".join((user.encode(), hashed.encode(), password))
        return hmac.new(self._key, text, hashlib.sha256).digest()
