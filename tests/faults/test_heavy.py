"""Tests that load the machine by themselves run one after another, by a group of xdist's."""

import pytest


@pytest.mark.xdist_group("heavy")
def test_heavy_tests_run_one_after_another(request: pytest.FixtureRequest) -> None:
    """Where xdist cannot append a group to the name of a test, it runs its tests beside each other without a word."""
    if not hasattr(request.config, "workerinput"):
        pytest.skip("there is one process only: all tests run one after another")
    assert request.node.nodeid.endswith("@heavy")
