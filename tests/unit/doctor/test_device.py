"""What the doctor does as one connection."""

from pathlib import Path

from ringline_broker.doctor.device import Device
from ringline_broker.doctor.target import Account
from tests.support.mosquitto import Mosquitto
from tests.unit.mqtt5.peers import run

NOBODY = 0x10


def test_who_visits_a_share_has_left_it_when_that_is_known(tmp_path: Path) -> None:
    async def main(port: int) -> None:
        async with Device("127.0.0.1", port, Account(), None) as visitor:
            assert await visitor.subscribe("$share/theirs/+/req") == 1
            assert await visitor.publish("ann/req", b"one") == 0
            assert await visitor.visit("$share/theirs/+/req") == 1
            assert await visitor.publish("ann/req", b"another") == NOBODY
            assert (visitor.has(b"one"), visitor.has(b"another")) == (True, False)

    with Mosquitto(tmp_path) as broker:
        run(main(broker.port))
