"""A semaphore with two queues."""

import asyncio
from collections.abc import Awaitable, Callable

from ringline_broker.bindings.amqtt.turnstile import Turnstile
from tests.support.turns import let_run


class Guests:
    """Those who pass, and who says when they leave."""

    def __init__(self, at_once: int) -> None:
        self.turnstile = Turnstile(at_once)
        self.inside: list[str] = []
        self.doors: dict[str, asyncio.Event] = {}

    def come(self, name: str, *, first: bool = False) -> asyncio.Task[None]:
        self.doors[name] = asyncio.Event()
        return asyncio.create_task(self._pass(name, first=first))

    async def _pass(self, name: str, *, first: bool) -> None:
        async with self.turnstile.passed(first=first):
            self.inside.append(name)
            await self.doors[name].wait()
            self.inside.remove(name)

    async def leave(self, name: str) -> None:
        self.doors[name].set()
        await let_run()


def _run(main: Callable[[], Awaitable[None]]) -> None:
    async def once() -> None:
        await main()

    asyncio.run(once())


def test_few_at_once_and_some_before_others() -> None:
    async def main() -> None:
        guests = Guests(2)
        tasks = [guests.come(name, first=name.startswith("first")) for name in ("a", "b", "c", "d", "first", "first2")]
        await let_run()
        assert guests.inside == ["a", "b"]
        await guests.leave("a")
        assert guests.inside == ["b", "first"]
        await guests.leave("b")
        await guests.leave("first")
        assert guests.inside == ["first2", "c"]
        for name in ("first2", "c", "d"):
            await guests.leave(name)
        await asyncio.gather(*tasks)
        again = guests.come("again")
        await let_run()
        assert guests.inside == ["again"]
        await guests.leave("again")
        await again

    _run(main)


def test_who_goes_away_while_waiting_takes_no_place() -> None:
    async def main() -> None:
        guests = Guests(1)
        a, b, c = (guests.come(name) for name in "abc")
        await let_run()
        b.cancel()
        await guests.leave("a")
        assert guests.inside == ["c"]
        await guests.leave("c")
        await asyncio.gather(a, b, c, return_exceptions=True)

    _run(main)


def test_who_goes_away_just_as_their_place_is_given_gives_it_on() -> None:
    async def main() -> None:
        guests = Guests(1)
        holding = guests.turnstile.passed(first=False)
        await holding.__aenter__()
        b, c = guests.come("b"), guests.come("c")
        await let_run()
        await holding.__aexit__(None, None, None)  # b has the place, and has not run yet
        b.cancel()
        await let_run()
        assert guests.inside == ["c"]
        await guests.leave("c")
        await asyncio.gather(b, c, return_exceptions=True)
        assert b.cancelled()

    _run(main)
