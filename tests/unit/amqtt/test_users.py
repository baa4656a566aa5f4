"""The password file, and what checks passwords against it."""

import asyncio
import os
import stat
import threading
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from ringline_broker.bindings.amqtt.users import (
    AT_ONCE,
    MAX_PASSWORD_BYTES,
    BadUsersFile,
    PasswordCheck,
    UsersFile,
    new_hasher,
)
from tests.support.bound import BOUND_S


def fast_hash(password: str) -> str:
    """A hash of the same kind that takes no time, for tests."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(password)


@pytest.fixture
def file(tmp_path: Path) -> UsersFile:
    return UsersFile(tmp_path / "deep" / "users")


@pytest.fixture
def check(file: UsersFile) -> PasswordCheck:
    file.write({"alice": fast_hash("right"), "bob": fast_hash("bob's")})
    return PasswordCheck(file)


def is_right(check: PasswordCheck, user: str, password: str | bytes) -> bool:
    raw = password if isinstance(password, bytes) else password.encode()
    return asyncio.run(check.check(user, raw)) is not None


# The file.


def test_hashes_are_argon2id_and_salted() -> None:
    first, second = new_hasher().hash("secret"), new_hasher().hash("secret")
    assert first.startswith("$argon2id$")
    assert first != second
    memory = int(first.split("$")[3].split(",")[0].removeprefix("m="))
    assert memory >= 19_456, "what OWASP asks for at least"


def test_a_file_comes_back_as_it_was_written(file: UsersFile) -> None:
    users = {name: fast_hash(name) for name in ("alice", "bob:the:builder", "é\u2028x", " ")}
    file.write(users)
    assert file.read() == users
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert [one.name for one in file.path.parent.iterdir()] == ["users"], "nothing else is left"


def test_no_file_is_no_users(file: UsersFile) -> None:
    assert file.read() == {}
    assert file.stamp() is None


def test_empty_lines_comments_and_windows_line_ends_are_no_fault(file: UsersFile) -> None:
    hashed = fast_hash("right")
    file.path.parent.mkdir()
    file.path.write_bytes(f"# people\r\n\r\nalice:{hashed}\r\n   \r\n".encode())
    assert file.read() == {"alice": hashed}


@pytest.mark.parametrize(
    "line",
    ["alice", "alice:", ":{hash}", "alice:plain", "a/b:{hash}", "{hash}", "alice:$2b$12$x", "a:{hash}:y", "$x:{hash}"],
)
def test_a_line_that_makes_no_sense_is_named(line: str, file: UsersFile) -> None:
    file.write({"bob": fast_hash("b")})
    with file.path.open("a") as more:
        more.write(line.replace("{hash}", fast_hash("a")) + "\n")
    with pytest.raises(BadUsersFile, match="users, line 2: "):
        file.read()


def test_what_is_no_text_and_what_is_no_file_are_said(file: UsersFile, tmp_path: Path) -> None:
    file.path.parent.mkdir()
    file.path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadUsersFile, match="cannot read"):
        file.read()
    with pytest.raises(BadUsersFile, match="cannot read"):
        UsersFile(tmp_path).read()
    with pytest.raises(BadUsersFile, match="cannot write"):
        UsersFile(file.path / "users").write({})


def test_a_write_that_fails_leaves_the_file_as_it_was(file: UsersFile, monkeypatch: pytest.MonkeyPatch) -> None:
    users = {"alice": fast_hash("a")}
    file.write(users)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadUsersFile, match="No space left"):
        file.write({})
    assert file.read() == users
    assert [one.name for one in file.path.parent.iterdir()] == ["users"]


def test_a_file_is_replaced_in_one_step(file: UsersFile) -> None:
    file.write({"alice": fast_hash("a")})
    with file.path.open("rb") as held:
        file.write({"bob": fast_hash("b")})
        assert held.read().startswith(b"alice:"), "who reads at that moment has the old one, whole"


def test_who_may_read_a_file_may_still_when_it_was_replaced(file: UsersFile) -> None:
    """A server that runs as somebody else would go on with the users before, and not start again."""
    file.write({"alice": fast_hash("a")})
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.path.chmod(0o640)
    owner = (4_242, 4_343) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(file.path, *owner)
    file.write({"bob": fast_hash("b")})
    now = file.path.stat()
    assert (stat.S_IMODE(now.st_mode), (now.st_uid, now.st_gid)) == (0o640, owner)


def test_a_file_that_cannot_stay_its_owners_stays_as_it_was(file: UsersFile, monkeypatch: pytest.MonkeyPatch) -> None:
    users = {"alice": fast_hash("a")}
    file.write(users)

    def refuse(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(BadUsersFile, match="Operation not permitted"):
        file.write({})
    assert file.read() == users


# The check.


def test_a_password_is_right_or_wrong(check: PasswordCheck) -> None:
    assert is_right(check, "alice", "right")
    assert not is_right(check, "alice", "wrong")
    assert not is_right(check, "alice", "")
    assert not is_right(check, "alice", "bob's")
    assert not is_right(check, "alice", b"\xff\0")
    assert not is_right(check, "carol", "right")


def test_a_reconnect_costs_no_verification(check: PasswordCheck) -> None:
    assert is_right(check, "alice", "right")
    for _ in range(100):
        assert is_right(check, "alice", "right")
    assert check.verifications == 1
    assert not is_right(check, "alice", "wrong")
    assert not is_right(check, "alice", "wrong")
    assert check.verifications == 3, "a wrong one costs one each time"
    assert is_right(check, "alice", "right")
    assert check.verifications == 3, "and does not forget the right one"


def test_an_unknown_user_costs_a_verification_of_full_price(
    check: PasswordCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    monkeypatch.setattr(check._hasher, "verify", lambda _password, hashed: verified.append(hashed))
    assert not is_right(check, "nobody", "password")
    assert check.verifications == 1
    assert [hashed.split("$")[3] for hashed in verified] == [new_hasher().hash("x").split("$")[3]]


def test_a_password_that_would_be_right_for_nobody_lets_nobody_in(
    check: PasswordCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check._hasher, "verify", lambda _password, _hashed: True)
    assert not is_right(check, "nobody", "password")
    assert not is_right(check, "nobody", "password")


def test_a_huge_password_costs_nothing(check: PasswordCheck) -> None:
    assert not is_right(check, "alice", "x" * (MAX_PASSWORD_BYTES + 1))
    assert check.verifications == 0
    assert not is_right(check, "alice", "x" * MAX_PASSWORD_BYTES)
    assert check.verifications == 1


def test_neither_passwords_nor_plain_digests_are_kept(check: PasswordCheck) -> None:
    assert is_right(check, "alice", "right")
    assert b"right" not in b"".join(check._right.values())
    (kept,) = check._right.values()
    (again,) = (PasswordCheck(check._file)._digest("alice", b"right", check._users["alice"]),)
    assert kept != again, "the key is of this process alone"


def test_a_change_of_the_file_counts_at_once(check: PasswordCheck, file: UsersFile) -> None:
    assert is_right(check, "alice", "right")
    assert is_right(check, "bob", "bob's")
    file.write({"alice": fast_hash("new"), "carol": fast_hash("carol's")})
    assert not is_right(check, "alice", "right")
    assert is_right(check, "alice", "new")
    assert is_right(check, "carol", "carol's")
    assert not is_right(check, "bob", "bob's"), "removed"


def test_a_change_keeps_what_is_known_of_whom_it_does_not_change(check: PasswordCheck, file: UsersFile) -> None:
    assert is_right(check, "alice", "right")
    file.write(file.read())
    assert is_right(check, "alice", "right")
    assert check.verifications == 1


def test_a_password_changed_while_it_is_verified_is_not_kept(
    check: PasswordCheck, file: UsersFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = check._hasher.verify
    old = fast_hash("right")
    file.write({"alice": old})

    async def race() -> bool:
        inside, go_on = threading.Event(), threading.Event()

        def slowly(password: bytes, hashed: str) -> bool:
            inside.set()
            assert go_on.wait(BOUND_S)
            return verify(password, hashed)

        monkeypatch.setattr(check._hasher, "verify", slowly)
        first = asyncio.create_task(check.check("alice", b"right"))
        await asyncio.to_thread(inside.wait, BOUND_S)
        file.write({"alice": fast_hash("new")})
        second = asyncio.create_task(check.check("alice", b"new"))
        go_on.set()
        return [await first is None, await second is None] == [True, False]

    assert asyncio.run(race())
    assert not is_right(check, "alice", "right")


def test_a_file_broken_later_changes_nothing_and_is_logged_once(
    check: PasswordCheck, file: UsersFile, caplog: pytest.LogCaptureFixture
) -> None:
    assert is_right(check, "alice", "right")
    file.path.write_text("nonsense\n")
    for _ in range(3):
        assert is_right(check, "alice", "right")
        assert is_right(check, "bob", "bob's")
    lines = [line.getMessage() for line in caplog.records]
    assert len(lines) == 1
    assert "users, line 1: " in lines[0]
    assert lines[0].endswith("the users known before stay")
    file.write({"bob": fast_hash("bob's")})
    assert not is_right(check, "alice", "right")
    assert is_right(check, "bob", "bob's")


def test_a_file_removed_later_lets_nobody_in(check: PasswordCheck, file: UsersFile) -> None:
    assert is_right(check, "alice", "right")
    file.path.unlink()
    assert not is_right(check, "alice", "right")


def test_a_file_broken_at_the_start_is_said(file: UsersFile) -> None:
    file.path.parent.mkdir()
    file.path.write_text("nonsense\n")
    with pytest.raises(BadUsersFile, match="line 1"):
        PasswordCheck(file)


def test_few_are_verified_at_once_and_nobody_else_waits_for_them(
    check: PasswordCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_right(check, "bob", "bob's")
    inside = threading.Semaphore(0)
    go_on = threading.Event()
    lock = threading.Lock()
    counts = {"now": 0, "most": 0}

    def slowly(_password: bytes, _hashed: str) -> bool:
        with lock:
            counts["now"] += 1
            counts["most"] = max(counts["most"], counts["now"])
        inside.release()
        assert go_on.wait(BOUND_S)
        with lock:
            counts["now"] -= 1
        return False

    async def many() -> list[str | None]:
        monkeypatch.setattr(check._hasher, "verify", slowly)
        tasks = [asyncio.create_task(check.check("alice", b"guess %d" % n)) for n in range(20)]
        for _ in range(AT_ONCE):
            assert await asyncio.to_thread(inside.acquire, True, BOUND_S)
        assert not await asyncio.to_thread(inside.acquire, True, 0.2), "one more is verified at the same time"
        assert await asyncio.wait_for(check.check("bob", b"bob's"), 1.0), "who is known gets in meanwhile"
        go_on.set()
        return await asyncio.gather(*tasks)

    assert not any(asyncio.run(many()))
    assert counts == {"now": 0, "most": AT_ONCE}
    check.close()
