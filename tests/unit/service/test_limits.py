"""How many open invitations a user has at most, and what needs no room."""

from tests.unit.engine.play import cancel, invite
from tests.unit.service.bench import Bench, run


def test_a_user_has_only_so_many_open_invitations() -> None:
    async def main() -> None:
        async with Bench(max_open=3) as bench:
            await bench.ask("ann", *[invite("bob", iid=f"i{number}") for number in range(5)])
            assert bench.broker.errors("ann") == ["too_many_requests"] * 2
            await bench.ask("ann", invite("bob", iid="another"))
            assert len(bench.broker.errors("ann")) == 3
            await bench.ask("zoe", invite("bob", iid="zoe's"))
            await bench.ask("ann", cancel(iid="i0"))
            await bench.ask("ann", invite("bob", iid="room again"))
            assert len(bench.broker.errors("ann")) == 3
            assert "room again" in [event.iid for event in bench.broker.heard("bob")]

    run(main)


def test_notices_need_no_room_and_repeats_neither() -> None:
    async def main() -> None:
        async with Bench(max_open=1) as bench:
            request = invite("bob", iid="one")
            await bench.ask("ann", request, *[invite("bob", iid=f"n{i}", answers=0) for i in range(5)], request)
            assert bench.broker.errors("ann") == []

    run(main)


def test_somebody_else_s_tombstones_make_no_room() -> None:
    async def main() -> None:
        async with Bench(max_open=2) as bench:
            await bench.ask("mallory", *[cancel(iid=f"i{number}") for number in range(5)])
            await bench.ask("ann", *[invite("bob", iid=f"i{number}") for number in range(5)])
            assert bench.broker.errors("ann") == ["too_many_requests"] * 3

    run(main)
