"""The password file: one `user:hash` a line, hashes by argon2id, read again whenever it changes.

A verification takes tenths of a second of CPU by intention, so it runs off the event loop, at most four at once, and
a keyed digest of a password that was right is kept in memory: a reconnect costs microseconds. The key is random and
lives as long as the process; the digests go when the file changes.
"""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import os
import secrets
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from ringline.protocol.errors import RinglineError
from ringline.protocol.topics import id_fault
from ringline_broker.files import replace_file

log = logging.getLogger(__name__)

AT_ONCE: Final = 2
_NICE: Final = 5
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
        """Replace the file in one step; who may read it stays as it was. A new one is its owner's alone.

        Raises:
            BadUsersFile: it cannot be written.
        """
        text = "".join(f"{user}:{hashed}\n" for user, hashed in sorted(users.items()))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, text.encode())
        except OSError as failed:
            raise BadUsersFile(f"cannot write {self.path}: {failed}") from failed

    def stamp(self) -> tuple[int, int, int] | None:
        """What changes when the file does."""
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _give_way() -> None:
    """Checking passwords must not hold up who is logged in; on Linux a thread has a priority of its own."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


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
        self._pool = ThreadPoolExecutor(AT_ONCE, "ringline-passwords", _give_way)
        self._nobody = self._hasher.hash(secrets.token_hex())
        self.verifications = 0

    def knows(self, user: str, password: bytes) -> bool:
        """Whether this was the user's password when it was checked last."""
        self.look()
        known = self._right.get(user)
        return known is not None and hmac.compare_digest(known, self._digest(user, password, self._users.get(user, "")))

    async def check(self, user: str, password: bytes) -> str | None:
        """Check a password. An unknown user costs as much time as a wrong password.

        Returns:
            The hash that it fits, or None.
        """
        if len(password) > MAX_PASSWORD_BYTES:
            return None
        if self.knows(user, password):
            return self._users.get(user)
        hashed = self._users.get(user)
        self.verifications += 1
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(self._pool, self._hasher.verify, password, hashed or self._nobody)
        if not right or hashed is None or self._users.get(user) != hashed:
            return None
        self._right[user] = self._digest(user, password, hashed)
        return hashed

    def is_in_force(self, user: str, hashed: str) -> bool:
        """Whether the user is there, with the password of this hash."""
        return self._users.get(user) == hashed

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def look(self) -> None:
        """Read the file again, where it has changed; one that cannot be read changes nothing."""
        if self._file.stamp() == self._stamp:
            return
        try:
            self.reload()
        except BadUsersFile as bad:
            log.error("%s; the users known before stay", bad)  # noqa: TRY400 - the error says what to do

    def reload(self) -> None:
        """Read the file again.

        Raises:
            BadUsersFile: it cannot be read; the users known before stay.
        """
        self.use(self.read())

    def read(self) -> dict[str, str]:
        """The file as it is now, not in force yet.

        Raises:
            BadUsersFile: it cannot be read.
        """
        self._stamp = self._file.stamp()
        return self._file.read()

    def use(self, users: dict[str, str]) -> None:
        """Put users in force."""
        self._users = users
        self._right = {user: known for user, known in self._right.items() if user in users}

    def _digest(self, user: str, password: bytes, hashed: str) -> bytes:
        text = b"\0".join((user.encode(), hashed.encode(), password))
        return hmac.new(self._key, text, hashlib.sha256).digest()
