"""Turns of the event loop, instead of time."""

import asyncio


async def let_run(turns: int = 30) -> None:
    """Let everything on the loop run that can, short of time passing."""
    loop = asyncio.get_running_loop()
    for _ in range(turns):
        turn: asyncio.Future[None] = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
