"""Plays the calls, the doorbell, the class, the live room and the call in a group, and tells what each side saw.

What it shows: the other programs here at work, every device with a connection of its own to a server in this
process. Each line stands where a device showed it, seconds after the start. It needs no network, and leaves nothing.

How to run it:

    make demo

or `python -m examples.demo`. The exit code is 0 if every device saw what it should, and nothing else.
"""

import logging
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from examples.call import Phone
from examples.doorbell import Doorbell, HousePhone
from examples.embedded import EmbeddedServer
from examples.group_scenes import GroupPlay
from examples.scenes import Scenes
from examples.stage import OffScript, Stage
from ringline import SignalingClient

HOUSEHOLD: Final = ("alice", "bob", "carol")
_ROOT: Final = Path(__file__).resolve().parent.parent


class Play(Scenes):
    """Calls and doorbells. Users are alice, bob and carol; a device that is not a user's only one has its own name."""

    def __init__(self, url: str, stage: Stage) -> None:
        super().__init__(url, stage)
        self._clock = 0.0

    def phone(self, user: str, name: str) -> Phone:
        """A phone that is connected."""
        client = SignalingClient(self.url, user=user)
        phone = Phone(client, self.stage.actor(name), clock=lambda: self._clock)
        self.connect(client)
        return phone

    def house_phone(self, user: str) -> HousePhone:
        """A house phone that is connected."""
        client = SignalingClient(self.url, user=user)
        phone = HousePhone(client, self.stage.actor(user))
        self.connect(client)
        return phone

    def doorbell(self) -> Doorbell:
        """A doorbell that is connected."""
        client = SignalingClient(self.url, user="front-door")
        doorbell = Doorbell(client, HOUSEHOLD, self.stage.actor("front-door"))
        self.connect(client)
        return doorbell

    def doorbell_process(self) -> subprocess.Popen[str]:
        """A doorbell as a process of its own, that is pressed once it is connected."""
        command = [sys.executable, "-m", "examples.doorbell", "--url", self.url]
        command += ["doorbell", "front-door", *HOUSEHOLD, "--press"]
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        relay = threading.Thread(target=_relay, args=(process, self.stage.actor("front-door")), daemon=True)
        relay.start()
        # At the end of the scene, from the last of these to the first.
        self.open.enter_context(process)
        self.open.callback(relay.join)
        self.open.callback(process.kill)
        return process

    # The scenes.

    def answered(self) -> None:
        """A call, answered on one of two devices."""
        expect = self.stage.expect
        with self.scene("1. Alice calls Bob, who has a phone and a tablet. He answers on the phone, and hangs up."):
            alice, bob = self.phone("alice", "alice"), self.phone("bob", "bob's phone")
            self.phone("bob", "bob's tablet")
            alice.dial("bob", "r-4711")
            expect("alice", "dials bob, room r-4711", "hears it ring at bob's")
            expect("bob's phone", "rings: alice calls")
            expect("bob's tablet", "rings: alice calls")
            bob.accept()
            expect("bob's phone", "enters room r-4711 with alice")
            expect("bob's tablet", "stops ringing: answered on another device")
            expect("alice", "enters room r-4711 with bob")
            self.stage.tell("they talk for a minute and a half, by the phones' clocks")
            self._clock += 90
            bob.hang_up()
            expect("bob's phone", "hangs up after 90 s")
            expect("alice", "hears that bob hung up after 90 s")

    def busy(self) -> None:
        """A call to somebody who is in another."""
        expect = self.stage.expect
        with self.scene("2. Alice and Bob are in a call when Carol calls Bob: busy."):
            alice, bob, carol = self.phone("alice", "alice"), self.phone("bob", "bob"), self.phone("carol", "carol")
            alice.dial("bob", "r-4712")
            expect("alice", "dials bob, room r-4712", "hears it ring at bob's")
            expect("bob", "rings: alice calls")
            bob.accept()
            expect("bob", "enters room r-4712 with alice")
            expect("alice", "enters room r-4712 with bob")
            carol.dial("bob", "r-4713")
            expect("bob", "rejects a call of carol: busy")
            expect("carol", "dials bob, room r-4713", "hears that bob rejected: busy")
            self.stage.tell("ten seconds later, by the phones' clocks")
            self._clock += 10
            alice.hang_up()
            expect("alice", "hangs up after 10 s")
            expect("bob", "hears that alice hung up after 10 s")

    def cancelled(self) -> None:
        """A call that the caller gives up."""
        expect = self.stage.expect
        with self.scene("3. Alice calls Bob, and gives up before he answers."):
            alice = self.phone("alice", "alice")
            self.phone("bob", "bob")
            alice.dial("bob", "r-4714")
            expect("alice", "dials bob, room r-4714", "hears it ring at bob's")
            expect("bob", "rings: alice calls")
            alice.hang_up()
            expect("alice", "gives up")
            expect("bob", "stops ringing: alice gave up")

    def timed_out(self) -> None:
        """A call that nobody answers."""
        expect = self.stage.expect
        with self.scene("4. Alice calls Bob, and lets it ring for two seconds. Nobody answers."):
            alice = self.phone("alice", "alice")
            self.phone("bob", "bob")
            alice.dial("bob", "r-4715", timeout=2)
            expect("alice", "dials bob, room r-4715", "hears it ring at bob's")
            expect("bob", "rings: alice calls")
            expect("bob", "stops ringing: missed a call of alice")
            expect("alice", "hears that bob did not answer")

    def doorbell_alive(self) -> None:
        """The doorbell, answered by one of three."""
        expect = self.stage.expect
        with self.scene("5. The doorbell rings Alice, Bob and Carol. Carol answers; the others stop."):
            phones = {user: self.house_phone(user) for user in HOUSEHOLD}
            self.doorbell().press()
            expect("front-door", "rings alice, bob, carol")
            for user in HOUSEHOLD:
                expect(user, "rings: front-door")
            phones["carol"].answer()
            expect("carol", "talks to front-door")
            expect("front-door", "hears that carol answers")
            for user in ("alice", "bob"):
                expect(user, "stops ringing: carol answered")

    def doorbell_dead(self) -> None:
        """The doorbell, dead before anybody answers."""
        expect = self.stage.expect
        with self.scene("6. The doorbell, a process of its own, is killed once it was pressed. The others still stop."):
            phones = {user: self.house_phone(user) for user in HOUSEHOLD}
            process = self.doorbell_process()
            expect("front-door", "rings alice, bob, carol")
            process.kill()
            self.stage.tell(f"the doorbell is killed; its exit code is {process.wait()}")
            for user in HOUSEHOLD:
                expect(user, "rings: front-door")
            phones["bob"].answer()
            expect("bob", "talks to front-door")
            for user in ("alice", "carol"):
                expect(user, "stops ringing: bob answered")

    def scenes(self) -> tuple[Callable[[], None], ...]:
        """In their order."""
        return (self.answered, self.busy, self.cancelled, self.timed_out, self.doorbell_alive, self.doorbell_dead)


def _relay(process: subprocess.Popen[str], show: Callable[[str], None]) -> None:
    """Show what the doorbell's process prints; its lines begin with who it is."""
    assert process.stdout is not None
    for line in process.stdout:
        who, _, text = line.strip().partition(" ")
        if who == "front-door":
            show(text)


def play(stage: Stage, directory: Path) -> int:
    """Play all scenes.

    Args:
        stage: where.
        directory: for the server's file.

    Returns:
        How many did not go by the script.
    """
    failed = 0
    with EmbeddedServer(directory) as server:
        stage.tell(f"a server of Ringline runs in this process, at {server.url}")
        scenes = (*Play(server.url, stage).scenes(), *GroupPlay(server.url, stage).scenes())
        for scene in scenes:
            try:
                scene()
            except OffScript as wrong:
                failed += 1
                print(f"  WRONG    {wrong}", flush=True)
    went = f"{len(scenes)} scenes, {stage.seen} lines seen where they should be, in {stage.seconds:.1f} s"
    print(f"\n{went}: " + ("all as it should be." if not failed else f"{failed} scenes went WRONG."), flush=True)
    return failed


def main() -> int:
    """Run the demo."""
    with tempfile.TemporaryDirectory(prefix="ringline-demo-") as name:
        journal = Path(name) / "log"
        logging.basicConfig(filename=journal, level=logging.WARNING)
        failed = play(Stage(), Path(name))
        logging.shutdown()
        if failed:
            print(f"\nThe log:\n{journal.read_text(encoding='utf-8') or '(empty)'}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
