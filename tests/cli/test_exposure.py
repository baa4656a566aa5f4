"""Which ports `serve` opens: nothing that is not safe, unless it was asked for by name."""

from pathlib import Path
from typing import Any

import pytest

from ringline_broker.cli.config import ServeOptions
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.exposure import dangers, ports_to_open

CERT, CA, USERS = {"tls_cert": Path("c")}, {"client_ca": Path("a")}, {"users": Path("u")}
EVERYWHERE = {"host": "0.0.0.0"}  # noqa: S104 - nothing is opened
INSECURE = {"insecure": True}


def opened(*parts: dict[str, Any], **more: Any) -> dict[str, int]:
    return ports_to_open(options(*parts, **more))


def options(*parts: dict[str, Any], **more: Any) -> ServeOptions:
    values: dict[str, Any] = {}
    for part in parts:
        values |= part
    return ServeOptions(**values | more)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_on_a_loopback_host_everything_may_be_open(host: str) -> None:
    assert opened(host=host) == {"port": 1883}
    assert opened(USERS, host=host, ws_port=0) == {"port": 1883, "ws_port": 0}
    assert opened(CERT, host=host, port=0) == {"port": 0, "tls_port": 8883}
    assert opened(CERT, CA, USERS, host=host) == {"port": 1883, "tls_port": 8883}


@pytest.mark.parametrize("logins", [CA, USERS, CA | USERS])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "bell.example.org", "localhost.example.org"])  # noqa: S104
def test_on_other_hosts_only_what_is_encrypted_opens(host: str, logins: dict[str, Any]) -> None:
    assert opened(CERT, logins, host=host) == {"tls_port": 8883}
    assert opened(CERT, logins, host=host, tls_port=0, wss_port=443) == {"tls_port": 0, "wss_port": 443}


def refused(*parts: dict[str, Any], **more: Any) -> str:
    with pytest.raises(Failure) as failed:
        opened(*parts, **more)
    assert failed.value.code == ExitCode.WRONG_USE
    return str(failed.value)


def test_what_is_not_safe_on_other_hosts_says_what_to_do() -> None:
    both = refused(EVERYWHERE)
    assert "takes encryption (--tls-cert) and logins (--users or --client-ca)" in both
    assert "takes encryption (--tls-cert);" in refused(EVERYWHERE, USERS)
    assert "takes logins (--users or --client-ca);" in refused(EVERYWHERE, CERT)
    for name, instead in (("port", "--tls-port"), ("ws_port", "--wss-port")):
        for number in (0, 1883):
            text = refused(EVERYWHERE, CERT, USERS, **{name: number})
            assert "is not encrypted, and --host 0.0.0.0 can be reached from other machines" in text
            assert f"leave it out, and use {instead}" in text
    assert all("--insecure" in text for text in (both, text))


def test_insecure_opens_what_is_asked_for() -> None:
    assert opened(EVERYWHERE, INSECURE) == {"port": 1883}
    assert opened(EVERYWHERE, INSECURE, CERT, USERS, ws_port=80) == {"port": 1883, "tls_port": 8883, "ws_port": 80}
    assert opened(EVERYWHERE, INSECURE, CERT, CA) == {"tls_port": 8883}, "through others nobody could log in"


def test_what_insecure_means_is_said() -> None:
    def said(*parts: dict[str, Any], **more: Any) -> list[str]:
        told = options(EVERYWHERE, *parts, **more)
        return dangers(told, ports_to_open(told))

    anybody, plain = said(INSECURE)
    assert "whoever reaches 0.0.0.0 may log in under any name, without a password" in anybody
    assert "port 1883 of 0.0.0.0 is not encrypted" in plain
    (plain,) = said(INSECURE, CERT, USERS, ws_port=80)
    assert "port 1883 and 80 of 0.0.0.0 is not encrypted" in plain
    for harmless in (said(INSECURE, CERT, CA), said(INSECURE, host="localhost")):
        assert harmless == ["--insecure changes nothing here: leave it out"]
    assert said(CERT, USERS) == said(host="::1") == []


@pytest.mark.parametrize("host", ["localhost", "192.0.2.1"])
@pytest.mark.parametrize("name", ["port", "ws_port"])
def test_a_port_through_which_nobody_could_log_in(host: str, name: str) -> None:
    assert "only certificates log in" in refused(CERT, CA, INSECURE, {name: 0}, host=host)


def test_with_certificates_alone_no_other_port_opens_by_itself() -> None:
    assert opened(CERT, CA) == {"tls_port": 8883}


def test_what_goes_together() -> None:
    assert "give --tls-cert" in refused(CA)
    assert "give --tls-cert" in refused(wss_port=0)
    assert "give --client-ca too" in refused(CERT, client_crl=Path("l"))
    for ports in ({"port": 5, "ws_port": 5}, {"ws_port": 1883}, {"tls_port": 7, "wss_port": 7}, {"wss_port": 8883}):
        assert "needs a port of its own" in refused(CERT, ports)
    assert opened(CERT, tls_port=0, wss_port=0, ws_port=0, port=0)
