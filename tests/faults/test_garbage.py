"""5,000 mutated requests: each that can be answered is answered once, the others are logged, and honest calls go on."""

import random
import re
from collections import Counter
from pathlib import Path

from ringline.protocol.requests import Get, RequestRefused, Ringing, decode_request, encode_request
from ringline.protocol.topics import Topics
from tests.faults.fleet import Fleet, WatchedDevice
from tests.faults.mutations import Mutator
from tests.faults.server_process import ServerProcess
from tests.faults.telling import Tell
from tests.support.bound import BOUND_S
from tests.support.raw import RawDevice, request_id

MUTATIONS = 5_000
AT_ONCE = 100
MOST_GROWTH_KIB = 8_192
NOISY_USERS = 10
"""So that none is slowed down for all that they send."""
UNREADABLE = "unreadable request from user noisy"


class Batch:
    """Mutations, by what has to become of each: what they are is the protocol's to say, not the server's."""

    def __init__(self, payloads: list[bytes]) -> None:
        self.payloads = payloads
        self.refused: Counter[bytes] = Counter()
        self.valid: Counter[bytes] = Counter()
        self.devices: set[str] = set()
        self.unreadable = 0
        self.ringings = 0
        for payload in payloads:
            self._sort(payload)

    def _sort(self, payload: bytes) -> None:
        try:
            request = decode_request(payload)
        except RequestRefused as refused:
            if refused.reply_to is None:
                self.unreadable += 1
            else:
                device, re = refused.reply_to
                self.devices.add(device)
                self.refused[re] += 1
        else:
            self.devices.add(request.dev)
            if isinstance(request, Ringing):
                self.ringings += 1
            else:
                self.valid[request.id] += 1


def test_mutated_requests_are_refused_or_logged_and_harm_nobody(server: ServerProcess, tell: Tell) -> None:
    seed = random.getrandbits(32)
    mutator = Mutator(seed)
    tell(seed=seed)
    seen: Counter[str] = Counter()
    memory_kib: list[int] = []
    with Fleet(server.url) as fleet:
        alice, bob = fleet.add("alice", "desk"), fleet.add("bob", "phone")
        fleet.connect()
        for at in range(MUTATIONS // AT_ONCE):
            batch = Batch([mutator.next() for _ in range(AT_ONCE)])
            seen.update(_send(server, batch, f"noisy{at % NOISY_USERS}"))
            _call_honestly(alice, bob)
            memory_kib.append(_memory_kib(server.pid))
            assert 0 < _said(server.log_text()) <= seen["unreadable"]
            seen["honest_calls"] += 1
    tell(**seen, kib_of_memory_at_first=memory_kib[9], kib_of_memory_at_last=memory_kib[-1])
    assert seen["unreadable"] + seen["refused"] + seen["valid"] + seen["ringing"] == MUTATIONS
    assert min(seen.values()) > 0, seen
    assert memory_kib[-1] - memory_kib[9] < MOST_GROWTH_KIB, memory_kib


def _send(server: ServerProcess, batch: Batch, user: str) -> dict[str, int]:
    """Send a batch as one user, and see that each gets what is due to it, once."""
    topics = Topics()
    with RawDevice(server.port, user) as noisy:
        noisy.subscribe(*(topics.answers(user, device) for device in sorted(batch.devices | {"raw"})))
        sent = [noisy.send(payload) for payload in batch.payloads]
        for message in sent:
            message.wait_for_publish(BOUND_S)
            assert message.is_published()
        last = Get(id=request_id(), dev="raw", iid="none")
        noisy.send(encode_request(last))
        answers: Counter[bytes] = Counter()
        refusals: Counter[bytes] = Counter()
        codes: Counter[int] = Counter()
        while (answer := noisy.answers.get(timeout=BOUND_S)).re != last.id:
            answers[answer.re] += 1
            if answer.err is not None:
                assert answer.err.name
                refusals[answer.re] += 1
                codes[answer.err.code] += 1
        events = Counter(event.re for event in list(noisy.events.queue) if event.by == user and event.re is not None)
    silent = (batch.refused + batch.valid) - (answers + events)
    assert not silent, [payload.hex(" ") for payload in batch.payloads if any(re in payload for re in silent)]
    assert answers + events == batch.refused + batch.valid
    assert refusals >= batch.refused
    return {
        "unreadable": batch.unreadable, "refused": batch.refused.total(), "valid": batch.valid.total(),
        "ringing": batch.ringings, **{f"code_{code}": count for code, count in codes.items()},
    }  # fmt: skip


def _call_honestly(alice: WatchedDevice, bob: WatchedDevice) -> None:
    call = alice.client.invite(["bob"], "hello")
    bob.heard.wait("receive_new_invitation", invite_id=call.invite_id)
    bob.client.accept(call.invite_id).result(BOUND_S)
    for device in (alice, bob):
        assert device.heard.wait("invitation_ended", invite_id=call.invite_id).outcome == "accepted"


def _said(log: str) -> int:
    """How many unreadable requests the log tells of; those left out last are said with the next line."""
    return log.count(UNREADABLE) + sum(map(int, re.findall(r"(\d+) lines like the next were left out", log)))


def _memory_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():  # no Linux: what it takes is not looked at
        return 0
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS"))
