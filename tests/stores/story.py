"""A story that a seed tells: batches of changes, the same in every process."""

import random
from collections.abc import Iterator

from ringline_broker.engine.model import Invitation
from ringline_broker.service.ports import Change
from tests.stores.made import NOW, accepted, first, rung, then


def batches(seed: int) -> Iterator[list[Change]]:
    """Endless batches of 1 to 6 changes, new invitations and answers to them, some with data of many pages.

    All changes of one batch have the same time, which no other batch has: that is how half a batch is told.
    """
    chance = random.Random(seed)
    ringing: list[Invitation] = []
    now = NOW
    number = 0
    while True:
        now += 1
        batch: list[Change] = []
        for _ in range(chance.randint(1, 6)):
            number += 1
            re = number.to_bytes(8, "big")
            data = chance.randbytes(chance.choice((0, 10, 5_000)))
            if ringing and chance.random() < 0.5:
                base = ringing.pop(chance.randrange(len(ringing)))
                batch.append(then(base, accepted(base, next(iter(base.pending)), now, id=re, data=data)))
            else:
                to = tuple(chance.sample(("ben", "cas", "dot"), chance.randint(1, 3)))
                batch.append(first(rung(f"i{number}", to=to, now=now, timeout=3_600, id=re, data=data)))
        ringing += [change.invitation for change in batch if change.invitation.ended is None]
        yield batch
