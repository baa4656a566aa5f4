"""The brokers' own settings: each file is what its broker reads, and says what a worker's self-test wants to hear."""

import configparser
import json
import re
import tomllib
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET  # our own files

import pytest

from ringline.protocol.limits import MAX_MESSAGE_BYTES
from ringline_broker.bindings.mqtt5 import selftest
from ringline_broker.bindings.mqtt5.address import LinkBounds
from ringline_broker.bindings.mqtt5.selftest import PROBES

DEPLOY: Final = Path(__file__).parent.parent.parent / "deploy"
LEAST_PACKET: Final = MAX_MESSAGE_BYTES + 1_024
"""What the self-test asks for."""
MOST_PACKET: Final = 65_536
_A_NAME: Final = 26
"""What is not longer, in backticks, may be a name and no message."""
BROKERS: Final = ("emqx", "hivemq", "vernemq", "aws-iot")


def emqx() -> dict[str, Any]:
    """HOCON, written so that it is TOML too."""
    return tomllib.loads((DEPLOY / "emqx/base.hocon").read_text())


def vernemq() -> dict[str, str]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.read_string("[all]\n" + (DEPLOY / "vernemq/vernemq.conf").read_text())
    return dict(parser["all"])


def hivemq(name: str = "config.xml") -> ET.Element:
    return ET.fromstring((DEPLOY / "hivemq" / name).read_text())  # noqa: S314 - our own file


def test_emqx_lets_in_who_has_an_account_and_denies_what_no_rule_matches() -> None:
    settings = emqx()
    assert settings["authorization"]["no_match"] == "deny"
    (source,) = settings["authorization"]["sources"]
    assert (source["type"], source["enable"], Path(source["path"]).name) == ("file", True, "acl.conf")
    (login,) = settings["authentication"]
    assert login["user_id_type"] == "username"
    assert login["password_hash_algorithm"]["name"] == "bcrypt"


def test_emqx_has_what_a_worker_needs_and_nothing_retained() -> None:
    mqtt = emqx()["mqtt"]
    assert mqtt["max_packet_size"].endswith("KB")
    assert LEAST_PACKET <= int(mqtt["max_packet_size"].removesuffix("KB")) * 1_024 <= MOST_PACKET
    assert mqtt["max_inflight"] >= max(PROBES, LinkBounds().receive_max)
    assert (mqtt["shared_subscription"], mqtt["wildcard_subscription"], mqtt["max_qos_allowed"]) == (True, True, 1)
    assert not mqtt["retain_available"]
    assert not mqtt["exclusive_subscription"]


def test_emqx_is_plain_on_this_machine_alone() -> None:
    for kind, listeners in emqx()["listeners"].items():
        listener = listeners["default"]
        if listener.get("enable", True):
            assert listener["enable_authn"] == "quick_deny_anonymous"
            assert "ssl_options" in listener or (kind == "tcp" and listener["bind"].startswith("127.0.0.1:"))


def test_vernemq_asks_for_accounts_and_has_what_a_worker_needs() -> None:
    settings = vernemq()
    assert settings["allow_anonymous"] == "off"
    assert settings["plugins.vmq_passwd"] == settings["plugins.vmq_acl"] == "on"
    assert LEAST_PACKET <= int(settings["max_message_size"]) <= MOST_PACKET
    assert int(settings["receive_max_broker"]) >= PROBES
    assert int(settings["receive_max_client"]) >= LinkBounds().receive_max
    assert int(settings["max_inflight_messages"]) >= PROBES


def test_vernemq_speaks_mqtt_5_and_is_plain_on_this_machine_alone() -> None:
    settings = vernemq()
    for kind in ("tcp", "ssl"):
        assert {"4", "5"} <= set(settings[f"listener.{kind}.allowed_protocol_versions"].split(","))
    assert settings["listener.tcp.default"].startswith("127.0.0.1:")
    assert settings["listener.ssl.certfile"]


def test_hivemq_has_what_a_worker_needs_and_nothing_retained() -> None:
    mqtt = hivemq()
    assert LEAST_PACKET <= int(mqtt.findtext("mqtt/packets/max-packet-size", "")) <= MOST_PACKET
    assert int(mqtt.findtext("mqtt/receive-maximum/server-receive-maximum", "")) >= PROBES
    for name in ("shared-subscriptions", "wildcard-subscriptions"):
        assert mqtt.findtext(f"mqtt/{name}/enabled") == "true"
    assert mqtt.findtext("mqtt/retained-messages/enabled") == "false"
    assert mqtt.findtext("security/allow-empty-client-id/enabled") == "true"


def test_hivemq_is_plain_on_this_machine_alone() -> None:
    listeners = hivemq().find("listeners")
    assert listeners is not None
    assert {one.tag for one in listeners} == {"tcp-listener", "tls-tcp-listener"}
    assert [one.findtext("bind-address") for one in listeners.iter("tcp-listener")] == ["127.0.0.1"]


def test_hivemq_lets_in_who_is_in_the_file_and_takes_no_plain_password() -> None:
    settings = hivemq("extension-config.xml")
    assert settings.findtext("password-type") == "HASHED"
    assert settings.findtext("next-extension-instead-of-fail") == "false"
    for password in hivemq("credentials.xml").iter("password"):
        assert ":" not in (password.text or ":"), "a hash in a public file is a password that everybody knows"


@pytest.mark.parametrize("file", sorted(DEPLOY.rglob("*.json")), ids=lambda file: file.name)
def test_json_is_json(file: Path) -> None:
    assert json.loads(file.read_text())


@pytest.mark.parametrize("broker", BROKERS)
def test_a_page_begins_with_what_was_tested_and_what_was_not(broker: str) -> None:
    text = (DEPLOY / broker / "README.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[1:3] == ["## Tested", "## Only designed for"]
    assert "## What goes wrong" in headings
    others = {file.name for file in (DEPLOY / broker).iterdir()} - {"README.md"}
    assert [name for name in others if f"`{name}`" not in text] == []


@pytest.mark.parametrize("broker", BROKERS)
def test_a_worker_says_what_a_page_quotes(broker: str) -> None:
    said = "".join(file.read_text() for file in Path(selftest.__file__).parent.glob("*.py"))
    plain = re.sub(r'"\s*\n\s*f?"', "", said)
    table = (DEPLOY / broker / "README.md").read_text().split("## What goes wrong")[1]
    cells = re.findall(r"^\|(.*?)\|", table, re.MULTILINE)
    quoted = [text for cell in cells for text in re.findall("`([^`]+)`", cell) if len(text) > _A_NAME]
    assert quoted
    assert [text for text in quoted if text not in plain] == []
