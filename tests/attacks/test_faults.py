"""Which test shows which fault of aMQTT 0.12.1, so that none is lost.

Every test named with a fault runs the attack against aMQTT as it is shipped, where it succeeds, and against ours, where
it fails. Beside them stand tests of the same fault on ours alone, by their names: test_s1_… to test_b12_….
"""

import ast
import re
from pathlib import Path
from typing import Final, NamedTuple

import pytest

FOLDER = Path(__file__).parent


class Fault(NamedTuple):
    """A fault, and the tests that show it on both, or why there is none."""

    number: str
    what: str
    shown_by: tuple[str, ...]
    why_not: str = ""


FAULTS: Final = (
    Fault(
        "S1",
        "with a wrong password, whoever knows a client id deletes its session",
        ("test_sessions::test_s1_a_stranger_deletes_a_session",),
    ),
    Fault(
        "S2",
        "with a wrong password, a will is put into somebody's session, which ends, and is sent as an event",
        ("test_sessions::test_s2_a_stranger_leaves_a_will_in_a_session",),
    ),
    Fault(
        "S3",
        "during a slow check the user name of a live session is another's",
        ("test_sessions::test_s3_a_user_changes_name_while_a_slow_check_goes_on",),
    ),
    Fault("S4", "wills meet no permission", ("test_sessions::test_s4_a_user_sends_an_event_as_a_will",)),
    Fault(
        "S5",
        "any user resumes another user's session by its client id, and gets what is queued",
        ("test_sessions::test_s5_a_user_resumes_another_users_session",),
    ),
    Fault(
        "S6",
        "whoever connects gets retained messages of others' topics",
        ("test_sessions::test_s6_whoever_connects_is_given_what_is_retained_for_others",),
    ),
    Fault(
        "S7",
        "over WebSocket, a header, a byte and an end freeze the broker",
        ("test_websocket::test_s7_a_header_and_a_byte_freeze_the_broker",),
    ),
    Fault(
        "S8",
        "no limit on the time of a CONNECT, or of a packet",
        (
            "test_time_and_size::test_s8_a_silent_connection_is_held_for_ever",
            "test_time_and_size::test_s8_a_connect_that_drips_is_held_as_long_as_it_drips",
            "test_time_and_size::test_s8_a_later_packet_that_drips_is_held_as_long_as_it_drips",
        ),
    ),
    Fault(
        "S8, max_connections",
        "silent connections lock everybody else out",
        ("test_sessions::test_s8_silent_connections_lock_everybody_out",),
    ),
    Fault("S9", "no limit on the size of a packet", ("test_time_and_size::test_s9_a_huge_packet_is_taken",)),
    Fault(
        "B1, at the end of a connection",
        "what was not acknowledged is lost in a session said to be kept",
        ("test_delivery::test_b1_what_was_not_acknowledged_is_lost_in_a_session_said_to_be_kept",),
    ),
    Fault(
        "B1, after 5 s",
        "what was not acknowledged is given up while connected, and its packet id used again",
        ("test_delivery::test_b1_a_message_is_given_up_after_five_seconds_and_its_packet_id_used_again",),
    ),
    Fault("B2", "who takes over a session hears nothing", ("test_sessions::test_b2_who_takes_over_hears_nothing",)),
    Fault("B3", "who was taken over goes on publishing", ("test_sessions::test_b3_who_was_taken_over_goes_on",)),
    Fault(
        "B4",
        "the keepalive is not enforced",
        ("test_time_and_size::test_b4_a_device_that_fell_silent_stays_connected",),
    ),
    Fault(
        "B5, by a topic",
        "after a publish on $x or an empty topic, requests are acknowledged and dropped",
        ("test_delivery::test_b5_a_bad_topic_leaves_a_session_that_takes_nothing_and_does_not_end",),
    ),
    Fault(
        "B5, by a plugin",
        "where a plugin raises, a session stays connected for ever without a connection",
        ("test_delivery::test_b5_a_plugin_that_raises_leaves_a_session_behind",),
    ),
    Fault(
        "B6, subscribing",
        "who subscribes during a fan-out takes it from others",
        ("test_delivery::test_b6_who_subscribes_during_a_fan_out_takes_it_from_others",),
    ),
    Fault(
        "B6, leaving",
        "who unsubscribes takes messages from those who stay",
        ("test_delivery::test_b6_who_stays_loses_messages_when_others_leave",),
    ),
    Fault(
        "B6, connecting",
        "who connects while others subscribe is never answered",
        ("test_delivery::test_b6_who_connects_while_others_subscribe_is_never_answered",),
    ),
    Fault(
        "B7, of messages",
        "what was published at QoS 0 comes at QoS 1",
        ("test_delivery::test_b7_a_message_at_qos_0_comes_at_qos_1",),
    ),
    Fault(
        "B7, of subscriptions",
        "subscribing again does not change the QoS",
        ("test_delivery::test_b7_a_second_subscription_does_not_change_the_qos",),
    ),
    Fault(
        "B8, the queue",
        "what is queued for who is away has no end, comes marked as retained, and all at once",
        ("test_kept::test_b8_the_queue_of_who_is_away_has_no_end_and_comes_as_retained",),
    ),
    Fault(
        "B8, the session",
        "sessions of who never comes back are kept for ever",
        ("test_kept::test_b8_sessions_of_who_never_comes_back_are_kept_for_ever",),
    ),
    Fault(
        "B9",
        "what a slow device does not take piles up without end",
        ("test_kept::test_b9_what_a_slow_device_does_not_take_piles_up",),
    ),
    Fault(
        "B10",
        "unsubscribing leaves an empty entry for ever",
        ("test_delivery::test_b10_unsubscribing_leaves_an_empty_entry_for_ever",),
    ),
    Fault(
        "B11, as configured by default",
        "a restart loses what was queued",
        ("test_kept::test_b11_a_restart_takes_from_who_is_away_what_was_sent_to_them",),
    ),
    Fault(
        "B11, with its database",
        "of the queue, some is stored and some not; nothing of it is ever removed",
        (),
        "that plugin needs SQLAlchemy, aiosqlite and greenlet, which nothing else here does; ours loads none of aMQTT's"
        " plugins, and has a store of its own",
    ),
    Fault(
        "B12, borne",
        "broken packets are gone on after, or waited after",
        ("test_packets::test_b12_stock_goes_on_after_some_of_them",),
    ),
    Fault(
        "B12, granted",
        "QoS 3 is granted, for a subscription and for a will",
        ("test_packets::test_b12_stock_grants_what_there_is_not",),
    ),
    Fault(
        "B12, max_connections",
        "one connection too many is accepted and never answered",
        ("test_sessions::test_s8_silent_connections_lock_everybody_out",),
    ),
)

ON_OURS: Final = {
    "test_packets::test_b12_stock_goes_on_after_some_of_them": "test_packets::test_b12_a_connection_ends_with",
    "test_packets::test_b12_stock_grants_what_there_is_not": "test_packets::test_b12_no_connection_begins_with",
}
"""Where the attack on ours is a test of its own."""


def _tests() -> dict[str, str]:
    """The source of each test of this folder."""
    found: dict[str, str] = {}
    for path in FOLDER.glob("test_*.py"):
        source = path.read_text()
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[f"{path.stem}::{node.name}"] = ast.get_source_segment(source, node) or ""
    return found


TESTS = _tests()


def test_every_fault_is_here() -> None:
    wanted = {*(f"S{number}" for number in range(1, 10)), *(f"B{number}" for number in range(1, 13))}
    assert {fault.number.split(",")[0] for fault in FAULTS} == wanted
    print(f"{len(FAULTS)} faults, {sum(bool(fault.shown_by) for fault in FAULTS)} shown")  # noqa: T201 - a count


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.number)
def test_a_fault_is_shown_on_stock_and_on_ours(fault: Fault) -> None:
    assert bool(fault.shown_by) != bool(fault.why_not)
    for name in fault.shown_by:
        assert name in TESTS, f"{fault.number} ({fault.what}): there is no {name} any more"
        stock, ours = TESTS[name], TESTS[ON_OURS.get(name, name)]
        assert re.search(r"\bboth\(\)|\bStock\(\)|stock_process", stock), f"{name} does not attack stock aMQTT"
        assert re.search(r"\bours\b", ours), f"{name} does not attack ours"


def test_no_test_of_a_fault_is_left_out() -> None:
    """One that attacks stock is in the table; one that attacks ours alone has the letter of a fault that is."""
    named = {name for fault in FAULTS for name in fault.shown_by}
    for name, source in TESTS.items():
        letter = re.match(r"\w+::test_([sb]\d+)_", name)
        if letter is not None:
            assert letter[1].upper() in {fault.number.split(",")[0] for fault in FAULTS}, name
        if letter is not None and re.search(r"\bworks_on\(stock|\bboth\(\) as", source):
            assert name in named, f"{name} shows a fault: name it in FAULTS"
