"""What docs/scaling.md has from docs/benchmarks.md, so that a new run of the benchmark makes no old figures of it."""

import math
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import figures as fig
from benchmarks.safety import NO_LIMITS
from benchmarks.systems import MOSQUITTO, STOCK, WORKER_REDIS, WORKERS_REDIS

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = DOCS / "scaling.md"
BUSY: Final = 0.5
"""How busy a core may be in the example."""
CALLS: Final = 2_000
"""Calls a second in the example."""


def cell(heading: str, row: str, column: str) -> str:
    """A figure of docs/benchmarks.md, its median alone.

    Args:
        heading: of the part it is in.
        row, column: the first cell of its row, and of its table's head the cell above it.

    Raises:
        ValueError: it was not measured.
    """
    _, part = re.split(rf"^{re.escape(heading)}$", (DOCS / "benchmarks.md").read_text("utf-8"), flags=re.MULTILINE)
    lines = [line.strip("| ").split(" | ") for line in part.partition("\n#")[0].splitlines() if line.startswith("|")]
    head = ["", *lines[0]]  # its first cell is empty, and went with the bars
    (found,) = (line[head.index(column)] for line in lines if line[0] == row)
    if found == "-":
        raise ValueError(f"{row} of {column} was not measured")
    return found.partition(" (")[0]


def costs_us(system: str) -> dict[fig.Figure, int]:
    """CPU a call of each process beside a broker, µs."""
    return {
        figure: int(cell("## Beside a broker", figure.title, system).removesuffix(" µs").replace(",", ""))
        for figure in (fig.BROKER_US, fig.WORKER_US, fig.STORE_US, fig.CPU_US)
    }


def costs() -> str:
    """The table of costs, and what it has to be read with."""
    one, two = costs_us(WORKER_REDIS), costs_us(WORKERS_REDIS)
    names = {fig.BROKER_US: "Mosquitto", fig.WORKER_US: "workers, together", fig.STORE_US: "Redis", fig.CPU_US: "all"}
    rows = [f"| {name} | {one[figure]:,} | {two[figure]:,} |" for figure, name in names.items()]
    bare, stock = (cell("## Calls", fig.CPU_US.title, name) for name in (MOSQUITTO, STOCK))
    ratio = cell("### Protected calls, as ratios", f"TLS : {NO_LIMITS}", "ratio")
    lines = [
        "| process | CPU a call with one worker, µs | with two workers, µs |",
        "|---|---|---|",
        *rows,
        "",
        _paragraph(
            f"Two bare messages cost {bare} through Mosquitto in that run, and {stock} through aMQTT as it is shipped. "
            f"A connected device took {cell('## Calls', fig.DEVICE_KIB.title, MOSQUITTO)} of Mosquitto's memory."
        ),
        "",
        _paragraph(
            f"All of this is without TLS. With it a call cost the embedded server {ratio} times as much, after the "
            "handshakes; what it costs a Mosquitto has not been measured."
        ),
    ]
    return "\n".join(lines)


def example() -> str:
    """How many of what for so many calls a second, in numbers."""
    two = costs_us(WORKERS_REDIS)
    cores = {figure: CALLS * us / (1_000_000 * BUSY) for figure, us in two.items()}
    workers = max(2, math.ceil(cores[fig.WORKER_US]))
    times, w = "×", f"{two[fig.WORKER_US]:,}"  # noqa: RUF001 - as in the formula
    return _paragraph(
        f"For example {CALLS:,} calls a second, with `w` = {w} and `u` = {BUSY:g}: {CALLS:,} {times} {w} / "
        f"{1_000_000 * BUSY:,.0f} = {cores[fig.WORKER_US]:.1f}, so {workers} workers. Redis comes to "
        f"{cores[fig.STORE_US]:.1f} and Mosquitto to {cores[fig.BROKER_US]:.1f}: a core each."
    )


def _paragraph(text: str) -> str:
    return textwrap.fill(text, 120, break_on_hyphens=False)


SECTIONS: Final[dict[str, Callable[[], str]]] = {"costs": costs, "example": example}
