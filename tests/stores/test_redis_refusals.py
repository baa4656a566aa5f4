"""A redis that is encrypted, asks for passwords, or refuses for a while: what is said, and what comes after."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import hiredis
import pytest
import trustme

from ringline_broker.service.ports import StoreUnavailable
from ringline_broker.stores import open_store
from tests.stores.kinds import Run
from tests.stores.made import first, rung
from tests.stores.test_redis import CLOCK, opened, until_available
from tests.support.redis_servers import QUICK, RedisServer, eventually, sentinels
from tests.support.running import free_port


@pytest.fixture
def own(binary: str) -> Iterator[RedisServer]:
    with RedisServer(binary, *QUICK) as server:
        yield server


class Encrypted:
    """A server with a port for TLS, its authority, and a client's certificate.

    Args:
        binary: the program.
        folder: for the files.
        asks: whether clients need a certificate.
    """

    def __init__(self, binary: str, folder: Path, asks: str) -> None:
        authority, other = trustme.CA(), trustme.CA()
        self.authority, self.other, self.client = folder / "ca.pem", folder / "other.pem", folder / "client.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        other.cert_pem.write_to_path(str(self.other))
        authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(str(self.client))
        server = folder / "server.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(server))
        self.port = free_port()
        self.server = RedisServer(
            binary, *QUICK, "--tls-port", str(self.port), "--tls-cert-file", str(server), "--tls-key-file", str(server),
            "--tls-ca-cert-file", str(self.authority), "--tls-auth-clients", asks,
        )  # fmt: skip

    def url(self, query: str) -> str:
        return f"rediss://127.0.0.1:{self.port}?{query}"


def test_encrypted(run: Run, binary: str, tmp_path: Path) -> None:
    redis = Encrypted(binary, tmp_path, "no")
    with redis.server:
        with opened(run, redis.url(f"ssl_ca_certs={redis.authority}")) as store:
            assert run(store.commit([first(rung("i1"))])) == [True]
        with pytest.raises(StoreUnavailable, match="certificate verify failed"):
            open_store(redis.url(f"ssl_ca_certs={redis.other}"), CLOCK)
        assert redis.server.call("EXISTS", "ringline:{s00}:i:i1") == 1


def test_encrypted_with_a_certificate_of_ones_own(run: Run, binary: str, tmp_path: Path) -> None:
    redis = Encrypted(binary, tmp_path, "yes")
    with redis.server:
        trust = f"ssl_ca_certs={redis.authority}"
        with opened(run, redis.url(f"{trust}&ssl_certfile={redis.client}")) as store:
            assert run(store.commit([first(rung("i1"))])) == [True]
        with pytest.raises(StoreUnavailable, match=f"redis at 127.0.0.1:{redis.port}"):
            open_store(redis.url(trust), CLOCK)


def test_a_server_without_tls_is_told_from_one_that_is_away(own: RedisServer) -> None:
    with pytest.raises(StoreUnavailable, match=f"redis at {own.address}"):
        open_store(f"rediss://{own.address}", CLOCK)


def test_a_user_who_may_do_too_little(run: Run, own: RedisServer) -> None:
    own.call("ACL", "SETUSER", "ringline", "on", ">secret", "~ringline:*", "+@all", "-@dangerous", "+info", "+role")
    with opened(run, f"redis://ringline:secret@{own.address}") as store:
        assert run(store.commit([first(rung("i1"))])) == [True]
        own.call("ACL", "SETUSER", "ringline", "resetkeys", "~other:*")
        with pytest.raises(StoreUnavailable, match=r"may not do this .*; give it all commands on keys and scripts"):
            run(store.commit([first(rung("i2"))]))


def test_sentinels_that_ask_for_a_password_of_their_own(run: Run, binary: str) -> None:
    with sentinels(binary) as (watching, primary, _):
        for one in watching:
            one.call("ACL", "SETUSER", "default", "resetpass", ">watch/word")
        hosts = ",".join(one.address for one in watching)
        with pytest.raises(StoreUnavailable, match="password"):
            open_store(f"redis+sentinel://{hosts}/calls", CLOCK)
        url = f"redis+sentinel://{hosts}/calls?sentinel_password=watch%2Fword"
        with opened(run, url) as store:
            assert run(store.commit([first(rung("i1"))])) == [True]
        assert primary.call("EXISTS", "ringline:{s00}:i:i1") == 1


# refusals that pass


def test_a_server_that_cannot_save_says_so_until_it_can(run: Run, own: RedisServer) -> None:
    with opened(run, own.url) as store:
        own.call("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes", "save", "3600 1000000")
        (own.folder / "dump.rdb").mkdir()  # where its file would have to be
        own.call("BGSAVE")
        failed = b"rdb_last_bgsave_status:err"
        eventually(lambda: failed in own.call("INFO", "persistence"), "it fails to save")
        with pytest.raises(StoreUnavailable, match=r"cannot save to its disk .*; see its log, and make room"):
            run(store.commit([first(rung("i1"))]))
        (own.folder / "dump.rdb").rmdir()
        own.call("BGSAVE")
        until_available(run, lambda: store.commit([first(rung("i1"))]))


def test_a_primary_without_good_replicas_says_so_until_it_has_them(run: Run, own: RedisServer) -> None:
    with opened(run, own.url) as store:
        own.call("CONFIG", "SET", "min-replicas-to-write", "1")
        with pytest.raises(StoreUnavailable, match="too few good replicas"):
            run(store.commit([first(rung("i1"))]))
        own.call("CONFIG", "SET", "min-replicas-to-write", "0")
        assert run(store.commit([first(rung("i1"))])) == [True]


def test_a_server_busy_with_somebodys_script_says_so_until_that_ends(run: Run, own: RedisServer) -> None:
    with opened(run, own.url) as store:
        own.call("CONFIG", "SET", "busy-reply-threshold", "50")

        def keep_busy() -> None:
            with suppress(OSError, hiredis.ReplyError):
                own.call("EVAL", "while true do end", 0)

        busy = threading.Thread(target=keep_busy)
        busy.start()
        eventually(lambda: _is_busy(own), "it is busy")
        with pytest.raises(StoreUnavailable, match=r"a script keeps it busy .*; find out whose it is"):
            run(store.commit([first(rung("i1"))]))
        own.call("SCRIPT", "KILL")
        busy.join()
        until_available(run, lambda: store.commit([first(rung("i1"))]))


def _is_busy(server: RedisServer) -> bool:
    try:
        server.call("PING")
    except hiredis.ReplyError as said:
        return str(said).startswith("BUSY")
    return False
