"""docs/benchmarks.md is what a result of the benchmark makes of itself."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import figures as fig
from benchmarks.errors import BenchError
from benchmarks.forms import SHORT, TOY, Form
from benchmarks.lab import PROGRAMS
from benchmarks.machine import describe
from benchmarks.report import page
from benchmarks.result import Result
from benchmarks.safety import LOGINS, PROTECTED
from benchmarks.systems import BESIDE, MOSQUITTO, NAMES, OURS, STOCK, WORKER_REDIS, WORKERS_REDIS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
TABLES = {
    **dict.fromkeys(NAMES, fig.CALLS),
    **dict.fromkeys(BESIDE, (*fig.CALLS, *fig.BESIDE)),
    MOSQUITTO: (*fig.CALLS, fig.BROKER_US),
    **dict.fromkeys(map(fig.open_subject, TOY.open), fig.OPEN),
    fig.burst_subject(TOY.burst): fig.BURST,
    fig.CLIENT_SUBJECT: fig.CLIENT,
    **dict.fromkeys(PROTECTED, fig.SAFE),
    **dict.fromkeys(LOGINS, fig.LOGIN),
    **dict.fromkeys(map(fig.others_subject, TOY.others), fig.AMONG),
}
MACHINE = describe(ROOT, dict.fromkeys(PROGRAMS))


def made(form: Form = TOY) -> Result:
    """A result in which every figure is another number."""
    book = fig.Book()
    for at, (subject, figures) in enumerate(TABLES.items(), 1):
        for number, figure in enumerate(figures, 1):
            for value in (at * 100 + number, at * 100 + number + 0.25, at * 100 + number + 50):
                book.add(subject, figure, value)
    return Result(
        form=form, date="2031-02-03", seconds=125.4, machine=MACHINE,
        notes=["Something to know."], settings={name: [f"all of {name}"] for name in NAMES}, samples=book.samples,
    )  # fmt: skip


def rows(text: str) -> list[str]:
    """The first cell of every row, and every heading."""
    return re.findall(r"(?m)^(?:#+ .*$|\| (?!-)[^|]*(?=\|))", text)


def test_every_figure_is_on_the_page() -> None:
    text = page(made())

    for subject, figures in TABLES.items():
        for number, figure in enumerate(figures, 1):
            first = (list(TABLES).index(subject) + 1) * 100 + number
            least, middle, most = (figure.text(value) for value in (first, first + 0.25, first + 50))
            assert f"| {middle} ({least.removesuffix(f' {figure.unit}')} to {most}) |" in text
            assert figure.meaning[:40] in text
    assert "Measured on 2031-02-03 in the toy form, which took 2 min 5 s." in text
    assert all(f"| {name} | {value} |" in text for name, value in MACHINE.items())
    assert all(f"all of {name}." in text for name in NAMES)
    assert "- Something to know." in text


def test_ratios_are_of_medians() -> None:
    ours, stock = (100 * (NAMES.index(name) + 1) + 1.25 for name in (OURS, STOCK))

    assert f"| {OURS} : {STOCK} | {ours / stock:.2f} |" in page(made())


def test_workers_are_compared_by_what_they_took_themselves() -> None:
    names = list(TABLES)
    two, one = (
        100 * (names.index(name) + 1) + TABLES[name].index(fig.WORKER_US) + 1.25
        for name in (WORKERS_REDIS, WORKER_REDIS)
    )

    assert f"| two workers : one worker, CPU of the workers alone | {two / one:.2f} |" in page(made())


def test_a_part_that_was_not_measured_has_no_section() -> None:
    result = made()
    for subject in PROTECTED:
        del result.samples[subject]

    left_out = set(rows(page(made()))) - set(rows(page(result)))

    assert "## What safety costs" in left_out
    assert "## Calls" not in left_out


def test_what_was_not_measured_is_said() -> None:
    result = made(replace(SHORT, open=TOY.open))
    del result.samples[MOSQUITTO]
    del result.samples[fig.open_subject(TOY.open[0])][fig.INVITATION_KIB.key]

    text = page(result)

    assert f"Not measured: {MOSQUITTO}." in text
    assert f"| {OURS} : {MOSQUITTO} | - |" in text
    assert f"| {fig.INVITATION_KIB.title} | - |" in text
    assert "Not measured in the short form." in text


def test_the_page_is_of_the_form_that_is_written_now() -> None:
    assert rows(PAGE) == rows(page(made())), "run make bench ARGS=--write"


def test_a_result_is_kept_whole(tmp_path: Path) -> None:
    result, file = made(), tmp_path / "build" / "result.json"

    result.write(file)

    assert Result.read(file) == result


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"form": {"name": "short"}}'])
def test_another_file_is_no_result(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)

    with pytest.raises(BenchError, match="no result"):
        Result.read(file)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"cannot read .*none\.json: No such file"):
        Result.read(tmp_path / "none.json")
