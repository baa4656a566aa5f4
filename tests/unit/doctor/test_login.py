"""What the doctor finds up to the login: who signed the certificate, how long it is good for, who trusts it."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from ringline_broker.doctor.broker import BrokerChecks
from ringline_broker.doctor.report import Finding, run
from ringline_broker.doctor.target import Target
from tests.support.mosquitto import Mosquitto
from tests.support.running import Ring
from tests.unit.mqtt5.peers import run as run_bounded


def mosquitto(folder: Path, authority: trustme.CA, host: str, days: int) -> Mosquitto:
    until = datetime.now(UTC) + timedelta(days=days, hours=1)
    issued = authority.issue_cert(host, not_before=datetime.now(UTC) - timedelta(days=90), not_after=until)
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return Mosquitto(folder, f"certfile {folder}/server.pem\nkeyfile {folder}/server.pem")


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    return tls


def examined(port: int, tls: ssl.SSLContext | None, *, is_local: bool = True) -> dict[str, Finding]:
    async def all_checks() -> dict[str, Finding]:
        checks = BrokerChecks(Target("127.0.0.1", port, tls=tls, user_tls=tls, is_local=is_local))
        return {check.name: await run(check) for check in checks.all()}

    return run_bounded(all_checks())


@pytest.mark.parametrize(
    ("host", "days", "is_ours", "verdict", "text", "remedy"),
    [
        ("127.0.0.1", 90, True, "ok", "good for 90 days, for 127.0.0.1", ""),
        ("127.0.0.1", 3, True, "warn", "good for 3 days", "renew it now"),
        ("127.0.0.1", -2, True, "FAIL", ", expired since 2", "renew it"),
        ("example.org", 90, True, "FAIL", "certificate is not valid for '127.0.0.1'", "use in --broker a name"),
        ("127.0.0.1", 90, False, "FAIL", "not trusted", "--cafile"),
    ],
)
def test_certificates(
    tmp_path: Path, host: str, days: int, is_ours: bool, verdict: str, text: str, remedy: str
) -> None:
    authority = trustme.CA(organization_name="Who signs here")
    with mosquitto(tmp_path, authority, host, days) as broker:
        found = examined(broker.port, trusting(authority if is_ours else trustme.CA()))
    tls = found["TLS"]
    assert (tls.verdict, text in tls.text, remedy in tls.remedy) == (verdict, True, True), tls
    assert "signed by" in tls.text
    assert not tls.text.endswith(".")
    for check in ("login", "round trip"):
        assert found[check].verdict == ("skipped" if verdict == "FAIL" else "ok"), found


def test_a_port_without_tls(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        tls = examined(broker.port, ssl.create_default_context())["TLS"]
    assert (tls.verdict, "mqtt://" in tls.remedy) == ("FAIL", True)


def test_a_port_with_tls_that_is_asked_without(tmp_path: Path) -> None:
    with mosquitto(tmp_path, trustme.CA(), "127.0.0.1", 90) as broker:
        login = examined(broker.port, None)["login"]
    assert (login.verdict, login.text) == ("FAIL", "the broker speaks TLS on this port, and was asked without")
    assert login.remedy == "use mqtts:// in --broker"


def test_a_broker_elsewhere_without_tls(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        tls = examined(broker.port, None, is_local=False)["TLS"]
    assert (tls.verdict, "mqtts://" in tls.remedy) == ("warn", True)


def test_a_broker_that_speaks_no_mqtt_5() -> None:
    """The embedded one."""
    with Ring() as ring:
        found = examined(ring.port, None)
    assert (found["login"].verdict, found["login"].text) == ("FAIL", "the broker speaks no MQTT 5")
    assert found["shared subscriptions"].verdict == "skipped"
