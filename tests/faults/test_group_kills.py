"""The server kills itself between a change of a group and what follows from it: recovery does the rest."""

import pytest

from tests.faults.fleet import Fleet, WatchedDevice
from tests.faults.server_process import ServerProcess
from tests.faults.telling import Tell
from tests.support.bound import BOUND_S

ROUNDS = 3

pytestmark = pytest.mark.usefixtures("quick")


@pytest.mark.parametrize(
    "point", ["after-group-commit", "after-commit", "inside-publish:1", "inside-publish:3", "after-group-publish"]
)
def test_a_removal_has_all_its_consequences_wherever_the_server_dies(
    server: ServerProcess, tell: Tell, point: str
) -> None:
    with Fleet(server.url) as fleet:
        owner, bob, carol = (_member(fleet, user) for user in ("olga", "bob", "carol"))
        fleet.connect()
        owner.client.groups.create("g", preset="meeting", members=["carol"]).result(BOUND_S)
        for at in range(1, ROUNDS + 1):
            owner.client.groups.add("g", ["bob"]).result(BOUND_S)
            bob.heard.wait("member_invited", count=at)
            call = carol.client.invite_in_group("g", ["bob"], timeout=600)
            call.result(BOUND_S)
            bob.heard.wait("receive_new_invitation", invite_id=call.invite_id)
            with fleet.all_lose_connection():
                server.stop()
            server.start(point)
            fleet.await_all()
            removal = owner.client.groups.remove("g", ["bob"])
            server.await_death()
            server.start()
            removal.result(BOUND_S)
            fleet.await_all()
            for device in (owner, carol):
                device.heard.wait("member_kicked", users=("bob",), count=at)
            for device in (bob, carol):
                assert device.heard.wait("invitation_dropped", invite_id=call.invite_id).invitees == ("bob",)
            assert bob.client.groups.mine().result(BOUND_S).groups == ()
            owner.client.groups.add_to_counter("g", "after", 1).result(BOUND_S)
            carol.heard.wait("group_counter_changed", key="after", value=at)
        for device in (owner, carol):
            assert len(device.heard.events("member_kicked")) == ROUNDS
        for device in (bob, carol):
            assert len(device.heard.events("invitation_dropped")) == ROUNDS
        assert bob.heard.events("group_counter_changed", key="after") == []
        counts = fleet.counts()
        tell(
            kills=server.kills, retries=counts.retries, repeats_dropped=counts.repeats_dropped,
            connects=fleet.connects(), syncs=counts.syncs,
        )  # fmt: skip
        assert server.kills == ROUNDS
        fleet.assert_all_synced()


def _member(fleet: Fleet, user: str) -> WatchedDevice:
    device = fleet.add(user, f"{user}-phone")
    device.client.add_group_listener(device.heard)
    return device
