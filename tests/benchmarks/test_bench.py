"""Every part of the benchmark runs, at toy size against real servers; how fast is none of a test's business."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks import bench, machine, safety, systems
from benchmarks import figures as fig
from benchmarks.bench import Bench
from benchmarks.errors import BenchError
from benchmarks.forms import TOY
from benchmarks.machine import Cores, choose_cores
from benchmarks.orders import Order
from benchmarks.processes import ROOT, Running, carry_out
from benchmarks.systems import MOSQUITTO, Lab, embedded_memory, mosquitto_program
from benchmarks.wire import HOST
from ringline_broker.authority import Authority
from tests.support.services import missing

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists() and not os.environ.get("CI"), reason="measures with what Linux has"
)

UNPINNED = Cores(None, None, "not pinned: tests run beside each other")
FORM = replace(TOY, in_memory=False, burst_after_s=1)
PARTS = {
    "calls": (fig.CPU_US, fig.CALLS_PER_S, fig.GENERATOR, fig.PAYLOAD),
    "rate": (fig.RING_P50, fig.RING_P99, fig.ANSWER_P50, fig.ANSWER_P99),
    "devices": (fig.DEVICE_KIB,),
    "client": fig.CLIENT,
    "safety": fig.SAFE,
    "logins": fig.LOGIN,
    "among": fig.AMONG,
}
SUBJECTS = {
    "safety": set(safety.PROTECTED),
    "logins": set(safety.LOGINS),
    "among": set(map(fig.others_subject, FORM.others)),
}
BOUND_S = 60
WARM_UP, COUNT = 5, 30


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path, UNPINNED)


@pytest.fixture
def server(lab: Lab) -> Generator[Running]:
    with embedded_memory(lab) as running:
        yield running


def measured(lab: Lab, part: str) -> fig.Samples:
    whole = Bench(FORM, lab)
    for step in whole.parts()[part]:
        step.work()
        assert whole.book.read_new() or step.label == f"opening {min(FORM.open)}", "figures are shown as they come"
    return whole.book.samples


@pytest.mark.parametrize("part", ["calls", "rate", "devices"])
def test_systems_beside_each_other(lab: Lab, part: str) -> None:
    samples = measured(lab, part)

    names = {system.name for system in systems.systems(memory=False)}
    assert samples.keys() == names
    for values in samples.values():
        assert values.keys() == {figure.key for figure in PARTS[part]}
        assert all(len(rounds) == 1 and rounds[0] >= 0 for rounds in values.values())
    if part == "calls":
        assert all(0 < values[fig.GENERATOR.key][0] < 200 for values in samples.values())
        assert all(0 < values[fig.PAYLOAD.key][0] <= 600 for values in samples.values())


@pytest.mark.parametrize("part", list(SUBJECTS))
def test_what_safety_costs(lab: Lab, part: str) -> None:
    samples = measured(lab, part)

    assert samples.keys() == SUBJECTS[part]
    for values in samples.values():
        assert values.keys() == {figure.key for figure in PARTS[part]}
        assert all(len(rounds) == 1 and rounds[0] > 0 for rounds in values.values())


def test_servers_say_which_protection_they_have(lab: Lab) -> None:
    whole = Bench(FORM, lab)
    for step in whole.parts()["safety"]:
        step.work()

    said = whole.all_settings()
    assert "request_rate 0" in said["no limits"]
    assert "request_rate 100" in said["limits"]
    assert [name for name in said if "TLS" in said[name]] == ["TLS"]


@pytest.mark.parametrize("kind", ["ask", "subscribe", "login"])
def test_acts_are_as_many_as_asked_for(server: Running, kind: str) -> None:
    report = carry_out(server, Order(kind=kind, count=COUNT, users=3, outstanding=1), None)

    assert report.count == COUNT


def test_a_wrong_authority_ends_the_load(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    ours, other = (lab.folder / name for name in ("ours", "other"))
    for folder in (ours, other):
        Authority.create(folder, [HOST], datetime.now(UTC))

    with embedded_memory(lab, f"--tls={ours}") as running, pytest.raises(BenchError, match="the load generator failed"):
        carry_out(running, Order(kind="handshake", count=1, users=0, authority=str(other / "authority.pem")), None)
    assert "certificate verify failed" in capfd.readouterr().err


def test_mosquitto_is_measured() -> None:
    if mosquitto_program() is None:
        missing("Mosquitto")

    assert MOSQUITTO in {system.name for system in systems.systems(memory=False)}


def test_without_mosquitto_the_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = len(systems.NAMES)
    monkeypatch.setattr(systems, "mosquitto_program", lambda: None)

    names = [system.name for system in systems.systems(memory=True)]

    assert len(names) == everything - 1
    assert MOSQUITTO not in names


def test_open_invitations(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "FIRST_DUE_S", 1)

    samples = measured(lab, "open")

    few, many = (samples[fig.open_subject(count)] for count in FORM.open)
    assert many.keys() == {figure.key for figure in fig.OPEN}
    assert few.keys() == many.keys() - {fig.INVITATION_KIB.key}
    assert min(many[fig.START_S.key]) > 0
    assert samples[fig.burst_subject(FORM.burst)].keys() == {figure.key for figure in fig.BURST}


def test_the_client_on_a_device(lab: Lab) -> None:
    samples = measured(lab, "client")[fig.CLIENT_SUBJECT]

    assert samples.keys() == {figure.key for figure in fig.CLIENT}
    assert 0 < samples[fig.BARE_MIB.key][0] < samples[fig.CLIENT_MIB.key][0]
    assert samples[fig.IMPORT_MS.key][0] > 0


@pytest.mark.parametrize("rate", [0.0, 500.0])
def test_calls_are_as_many_as_asked_for(server: Running, rate: float) -> None:
    order = Order(kind="ringline", count=COUNT, warm_up=WARM_UP, users=4, outstanding=3, rate=rate)

    report = carry_out(server, order, None)

    assert (report.count, len(report.ring_ms), len(report.answer_ms)) == (COUNT, COUNT, COUNT)
    assert min(report.ring_ms + report.answer_ms) > 0
    assert report.server_cpu_s >= 0


@pytest.mark.parametrize("kind", ["deadlines", "burst"])
def test_both_parties_hear_of_every_deadline_and_none_too_early(server: Running, kind: str) -> None:
    report = carry_out(server, Order(kind=kind, count=COUNT, users=4, timeout_s=1), None)

    assert (report.count, len(report.lag_ms)) == (COUNT, 2 * COUNT)
    assert min(report.lag_ms) > -1


def test_a_server_that_dies_ends_the_load(server: Running, capfd: pytest.CaptureFixture[str]) -> None:
    server.kill()

    with pytest.raises(BenchError, match="the load generator failed"):
        carry_out(server, Order(kind="ringline", count=COUNT, users=4), None)
    assert "Traceback" not in capfd.readouterr().err


def test_a_refusal_ends_the_load(server: Running, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BenchError, match="the load generator failed"):
        carry_out(server, Order(kind="open", count=COUNT, users=4, timeout_s=-1), None)
    assert "refused" in capfd.readouterr().err


def test_two_cores_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {4, 5, 6})
    monkeypatch.setattr(machine, "_siblings", lambda core: {core, core + 1})

    cores = choose_cores()

    assert (cores.server, cores.load) == (4, 6)


def test_one_core_is_not_pinned_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3})

    cores = choose_cores()

    assert (cores.server, cores.load) == (None, None)
    assert "one core only" in cores.note


def test_a_system_that_cannot_pin_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity")

    cores = choose_cores()

    assert (cores.server, cores.load) == (None, None)
    assert "sched_setaffinity" in cores.note


def command(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0,
    )  # fmt: skip


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, number: signal.Signals, status: int) -> None:
    with command("--toy", "--json", str(tmp_path / "toy.json")) as process:
        assert process.stderr is not None
        while "left] " not in process.stderr.readline():
            assert process.poll() is None

        os.killpg(process.pid, number)

        # Its children have the same standard error, which ends when the last of them has.
        out, err = process.communicate(timeout=BOUND_S)
    assert process.returncode == status
    assert out == ""
    assert "Traceback" not in err
    assert not any(tmp_path.iterdir())


def test_a_file_that_is_no_result_is_told(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text('{"form": {"open": []}}')

    with command("--from-json", str(file)) as process:
        out, err = process.communicate(timeout=BOUND_S)

    assert process.returncode == 1
    assert (out, err) == ("", f"\nbench: {file} is no result of this version of the benchmark\n")
