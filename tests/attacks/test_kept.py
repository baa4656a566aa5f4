"""What is kept for who is away, slow or gone. Each is first shown on aMQTT as it is shipped, then on ours."""

import asyncio
from pathlib import Path

from ringline_broker.settings import Bounds
from tests.attacks.inside import becomes, event_after_event, leave, only_session
from tests.attacks.raw_mqtt import Attacker, SocketWire
from tests.attacks.targets import TOPICS, Ours, Stock, Target, both
from tests.support.bound import BOUND_S
from tests.support.running import ring_with_files

BOB = TOPICS.events("bob")


def test_b8_the_queue_of_who_is_away_has_no_end_and_comes_as_retained() -> None:
    many = 2_000

    def works_on(target: Target) -> bool:
        leave(target, "bob", BOB, client_id="phone")
        for number in range(many):
            target.event(BOB, b"%d" % number)
        event_after_event(target)
        with Attacker.tcp(target.port) as phone:
            assert phone.connect("bob", client_id="phone", clean=False) == 0
            if not phone.session_present:
                return phone.hears(b"0", 1.0)
            heard = [phone.message() for _ in range(many)]
        print(f"{len(heard)} queued and sent, none of them acknowledged")  # noqa: T201 - the proof is a count
        return all(message.is_retained for message in heard)

    with both() as (stock, ours):
        assert works_on(stock)
        assert not works_on(ours)


def test_b8_sessions_of_who_never_comes_back_are_kept_for_ever() -> None:
    def kept(target: Target) -> int:
        for number in range(20):
            leave(target, "mallory", client_id=f"phone {number}")
        return target.sessions

    with both() as (stock, ours):
        assert kept(stock) == 20
        assert kept(ours) == 0


def test_b9_what_a_slow_device_does_not_take_piles_up() -> None:
    def works_on(target: Target) -> bool:
        with Attacker(SocketWire(target.port, window=4_096)) as slow:
            assert slow.connect("bob", keep_alive=0) == 0
            if isinstance(target, Ours):
                target.narrow_sockets()
            assert slow.subscribe(BOB) == [1]
            before = target.loop.call(lambda: len(asyncio.all_tasks()))
            target.events(BOB, bytes(500), 2_000)
            assert becomes(target, lambda: len(asyncio.all_tasks()) > before + 1_000 or target.sessions == 0)
            print(f"{type(target).__name__}: {target.sessions} connected")  # noqa: T201 - the proof is a count
            return target.sessions == 1

    with Stock() as stock, Ours(Bounds(waiting_bytes=100_000)) as ours:
        assert works_on(stock)
        assert not works_on(ours)
        assert ours.sessions == 0, "cut off; it syncs when it is back"


def test_b11_a_restart_takes_from_who_is_away_what_was_sent_to_them(tmp_path: Path) -> None:
    with Stock() as stock:
        leave(stock, "bob", BOB, client_id="phone")
        phone_session = only_session(stock)
        stock.event(BOB, b"invited")
        event_after_event(stock)
        assert stock.loop.call(phone_session.retained_messages.qsize) == 1
    with Stock() as stock, Attacker.tcp(stock.port) as phone:
        assert phone.connect("bob", client_id="phone", clean=False) == 0
        assert not phone.session_present
        assert not phone.hears(b"invited", 1.0)
    with ring_with_files(tmp_path / "kept") as ours:
        alice = ours.device("alice")
        call = alice.client.invite(["bob"], timeout=600)
        call.result(BOUND_S)
        ours.stop()
        ours.start()
        ours.device("bob").heard.wait("receive_new_invitation", invite_id=call.invite_id)
