"""docs/scaling.md reckons with what docs/benchmarks.md says, and what it says around the figures is true of them."""

import pytest

from benchmarks import figures as fig
from benchmarks.systems import WORKER_REDIS, WORKERS_REDIS
from tests.docs.generate import filled, names
from tests.docs.scaling import BUSY, CALLS, PAGE, SECTIONS, cell, costs_us

TEXT = PAGE.read_text(encoding="utf-8")


def test_its_figures_are_those_of_the_benchmark() -> None:
    assert filled(TEXT, SECTIONS) == TEXT, "run python -m tests.docs.generate"
    assert names(TEXT) == list(SECTIONS)


def test_what_is_said_of_the_figures_is_so() -> None:
    one, two = costs_us(WORKER_REDIS), costs_us(WORKERS_REDIS)
    assert two[fig.WORKER_US] > one[fig.WORKER_US], "the page explains why two cost more together than one"
    for figure in (fig.STORE_US, fig.BROKER_US):
        assert CALLS * two[figure] <= 1_000_000 * BUSY, "the example says that one core is enough: take fewer calls"


def test_a_figure_is_found_by_its_row_and_column_or_missed() -> None:
    assert cell("## Logins", fig.LOGIN_US.title, "any name").endswith(" µs")
    with pytest.raises(ValueError, match="was not measured"):
        cell("## Beside a broker", fig.STORE_US.title, "Mosquitto, bare messages")
