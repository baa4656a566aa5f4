"""docs/interoperability.md names tests that exist, and leaves out no case of the Paho project's suite."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/interoperability.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
CASES = (
    "testBasic",
    "test_retained_messages",
    "will_message_test",
    "test_zero_length_clientid",
    "test_offline_message_queueing",
    "test_overlapping_subscriptions",
    "test_keepalive",
    "test_redelivery_on_reconnect",
    "test_subscribe_failure",
    "test_dollar_topics",
    "test_unsubscribe",
)
"""Of the suite's client_test.py, all."""


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_exists(file: str, name: str) -> None:
    nodes = ast.walk(ast.parse((ROOT / file).read_text()))
    assert name in {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def test_every_case_is_listed_and_has_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    listed = {row.split("`")[1] for row in rows}
    assert listed == {*CASES}
    nameless = [row for row in rows if "::test_" not in row]
    assert not nameless
    print(f"{len(CASES)} cases of the suite, {len(NAMED)} tests named")  # noqa: T201 - the proof is a count


def test_every_interoperability_test_is_named() -> None:
    written = re.findall(r"^def (test_\w+)", (ROOT / "tests/interop/test_paho.py").read_text(), re.MULTILINE)
    on_page = {name for _, name in NAMED}
    assert {*written} - on_page == {"test_a_wrong_password_is_refused", "test_payloads_of_every_length_come_whole"}
