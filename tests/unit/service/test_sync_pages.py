"""A sync's reply, page by page: nothing missing, nothing twice, nothing that is somebody else's business."""

import pytest

from ringline.protocol.codec import pack
from ringline.protocol.events import Invited
from ringline.protocol.limits import LOOK_BACK_MS
from ringline_broker.engine.log import events_since
from ringline_broker.service.sync import PAGE_BYTES
from tests.unit.engine.play import IID, accept, cancel, invite
from tests.unit.service.bench import TOPICS, Bench, events_of, run


def _reply_sizes(bench: Bench, user: str) -> list[int]:
    return [len(payload) for topic, payload, _ in bench.broker.messages if topic == TOPICS.answers(user, "d1")]


def test_a_device_that_knows_nothing_hears_what_is_open() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob", iid="open"), invite("bob", iid="over"), invite("cid", iid="cid's"))
            await bench.ask("ann", cancel(iid="over"))
            bench.clock.advance(10_000)
            answer = await bench.sync("bob")
            [invited] = events_of([answer])
            assert isinstance(invited, Invited)
            assert (invited.iid, invited.ttl) == ("open", 20_000)
            assert (answer.more, answer.next, answer.gone, answer.ts) == (False, b"", (), bench.store.now())

    run(main)


def test_known_ones_bring_what_is_new_of_them_and_nothing_else() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob", "cid"))
            await bench.ask("bob", accept())
            assert [event.ev for event in events_of([await bench.sync("ann", known={IID: 1})])] == ["accepted"]
            assert events_of([await bench.sync("ann", known={IID: 2})]) == []
            assert events_of([await bench.sync("ann", known={IID: 2**53 - 1})]) == []
            assert [event.n for event in events_of([await bench.sync("ann", known={IID: 0})])] == [1, 2]

    run(main)


def test_what_ended_since_is_told_and_a_minute_before_it() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob"))
            await bench.ask("ann", cancel())
            ended = bench.store.now()
            for since, told in ((ended, 2), (ended + LOOK_BACK_MS - 1, 2), (ended + LOOK_BACK_MS, 0), (0, 2)):
                events = events_of([await bench.sync("bob", since=since)])
                assert len(events) == told
                assert not [event for event in events if isinstance(event, Invited) and event.ttl != 0]

    run(main)


def test_gone_is_what_exists_no_more_or_was_never_one_s_own() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob"))
            answer = await bench.sync("zoe", known={IID: 1, "never": 5})
            assert sorted(answer.gone) == [IID, "never"]
            assert events_of([answer]) == []

    run(main)


def test_only_tells_of_nothing_but_the_known() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob", iid="one"), invite("bob", iid="two"))
            answer = await bench.sync("bob", known={"one": 0}, only=True)
            assert [event.iid for event in events_of([answer])] == ["one"]

    run(main)


def test_online_only_is_not_brought_to_who_does_not_hold_it() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob", online_only=True))
            assert events_of([await bench.sync("bob")]) == []
            await bench.ask("bob", accept())
            assert [event.ev for event in events_of([await bench.sync("bob", known={IID: 1})])] == ["accepted"]

    run(main)


def test_a_tombstone_is_told_to_nobody() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", cancel())
            for known in (None, {IID: 0}):
                answer = await bench.sync("ann", since=1, known=known)
                assert (events_of([answer]), answer.gone) == ([], ())

    run(main)


# Pages.


def test_many_invitations_are_told_page_by_page() -> None:
    async def main() -> None:
        async with Bench() as bench:
            iids = [f"i{number:02}" for number in range(30)]
            await bench.ask("ann", *[invite("bob", iid=iid, data=bytes(5_000)) for iid in iids])
            pages = await bench.pages("bob")
            assert [event.iid for event in events_of(pages)] == iids
            assert len(pages) == 5
            assert max(_reply_sizes(bench, "bob")) <= PAGE_BYTES + 512
            assert [page.more for page in pages] == [True] * 4 + [False]

    run(main)


@pytest.mark.parametrize("known", [None, {IID: 0}, {IID: 4}])
def test_one_invitation_larger_than_a_page(known: dict[str, int] | None) -> None:
    async def main() -> None:
        async with Bench() as bench:
            users = [f"u{number:02}" for number in range(20)]
            await bench.ask("ann", invite(*users, data=bytes(8_000)))
            for user in users[:-1]:
                await bench.ask(user, accept(data=bytes(8_000)))
            pages = await bench.pages("ann", known=known)
            chain = events_since(await bench.invitation(IID), (known or {}).get(IID, 0), "ann")
            assert [(event.n, event.p) for event in events_of(pages)] == [(event.n, p) for event, p in chain]
            assert len(pages) >= 4
            assert max(_reply_sizes(bench, "ann")) <= PAGE_BYTES + 512

    run(main)


def test_known_and_others_and_gone_over_many_pages() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", *[invite("bob", iid=f"i{number:02}", data=bytes(7_000)) for number in range(20)])
            known = {f"i{number:02}": number % 2 for number in range(10)} | {f"{n:030}": 1 for n in range(300)}
            pages = await bench.pages("bob", known=known)
            told = [event.iid for event in events_of(pages)]
            assert told == [f"i{number:02}" for number in (*range(0, 10, 2), *range(10, 20))]
            gone = [iid for page in pages for iid in page.gone]
            assert sorted(gone) == [f"{number:030}" for number in range(300)]
            assert max(_reply_sizes(bench, "bob")) <= PAGE_BYTES + 512

    run(main)


def test_what_happens_between_two_pages_is_neither_lost_nor_told_twice() -> None:
    async def main() -> None:
        async with Bench() as bench:
            iids = [f"i{number:02}" for number in range(9)]
            await bench.ask("ann", *[invite("bob", "cid", iid=iid, data=bytes(7_000)) for iid in iids])
            first = await bench.sync("bob")
            told = [event.iid for event in events_of([first])]
            await bench.ask("ann", cancel("bob", iid=told[-1]), cancel(iid="i04"), cancel(iid="i08"))
            rest = [await bench.sync("bob", next=first.next)]
            while rest[-1].more:
                rest.append(await bench.sync("bob", next=rest[-1].next))
            heard = [(event.iid, event.n) for event in events_of([first, *rest])]
            assert len(heard) == len(set(heard))
            assert [iid for iid, n in heard if n == 1] == sorted({iid for iid, _ in heard})
            assert {"i00", "i01", "i02", "i03", "i05", "i06", "i07"} <= {iid for iid, _ in heard}

    run(main)


# Cursors.


@pytest.mark.parametrize(
    "cursor",
    [b"\xc1", b"x", pack("x"), pack([0]), pack([3, "i", 0]), pack([0, 5, 0]), pack([0, "i", -1]), pack([0, "i", "n"]),
     pack({"part": 0}), pack([0, "i", 0, 0]), b"\x93\x00\xa1i"],
    ids=repr,
)  # fmt: skip
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: bytes) -> None:
    async def main() -> None:
        async with Bench() as bench:
            answer = await bench.sync("ann", next=cursor)
            assert answer.err is not None
            assert (answer.err.code, answer.err.name) == (6017, "bad_parameter")
            assert bench.settled == 1

    run(main)


@pytest.mark.parametrize("part", [0, 1])
def test_a_cursor_made_up_shows_nothing_that_is_not_one_s_own(part: int) -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.ask("ann", invite("bob", data=b"secret"))
            answer = await bench.sync("zoe", next=pack([part, IID, 0]), known={IID: 0}, since=0)
            assert events_of([answer]) == []
            for strange in ([part, "", 0], [part, "\x00", 0], [part, "x" * 200, 2**64 - 1], [part, IID, 2**63]):
                assert (await bench.sync("bob", next=pack(strange))).err is None

    run(main)
