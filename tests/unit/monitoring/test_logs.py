"""Lines of the log: what they are about in fields of their own, and names that cannot break them."""

import json
import logging
from collections.abc import Callable, Iterator

import pytest

from ringline_broker.cli.logs import start_logging

NASTY = 'ann]\n12:00:00 INFO ringline: all is well\x1b[2J "x" user=bob'
log = logging.getLogger("ringline_broker.test")


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., list[str]]]:
    root, ours = logging.getLogger(), [logging.getLogger(name) for name in ("ringline", "ringline_broker")]
    before, levels = root.handlers[:], [logger.level for logger in ours]

    def begin(*, as_json: bool) -> list[str]:
        root.handlers = []
        start_logging("debug", as_json=as_json)
        log.warning("refused: %s", "why", extra={"user": "ann", "invite_id": "i1", "operation": "accept", "code": 8010})
        log.info("of %s", NASTY, extra={"user": NASTY})
        log.info("about nobody")
        return capsys.readouterr().err.splitlines()

    yield begin
    root.handlers = before
    for logger, level in zip(ours, levels, strict=True):
        logger.setLevel(level)


def test_json_has_fields(lines: Callable[..., list[str]]) -> None:
    first, nasty, plain = [json.loads(line) for line in lines(as_json=True)]
    about = {"user": "ann", "invite_id": "i1", "operation": "accept", "code": 8010}
    assert first.items() >= {**about, "level": "warning", "message": "refused: why"}.items()
    assert (nasty["user"], nasty["message"]) == (NASTY, f"of {NASTY}")
    assert set(plain) == {"time", "level", "logger", "message"}


def test_text_has_them_at_the_end(lines: Callable[..., list[str]]) -> None:
    first, nasty, plain = lines(as_json=False)
    assert first.endswith("ringline_broker.test: refused: why [user=ann invite_id=i1 operation=accept code=8010]")
    assert nasty.endswith('[user="ann]\\n12:00:00 INFO ringline: all is well\\u001b[2J \\"x\\" user=bob"]')
    assert nasty.isprintable()
    assert plain.endswith("test: about nobody")
