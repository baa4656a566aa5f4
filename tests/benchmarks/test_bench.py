"""Every part of the benchmark runs, at toy size against real servers; how fast is none of a test's business."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgpack
import pytest

from benchmarks import bench, machine, safety, systems
from benchmarks import figures as fig
from benchmarks.__main__ import end_as_killed
from benchmarks.bench import PARTS, Bench
from benchmarks.calls import RinglineCalls
from benchmarks.errors import BenchError
from benchmarks.forms import TOY
from benchmarks.lab import PROGRAMS, Lab, find_program
from benchmarks.machine import Cores, choose_cores
from benchmarks.orders import Order
from benchmarks.processes import ROOT, Running, carry_out, child
from benchmarks.systems import (
    BESIDE,
    MOSQUITTO,
    WORKER_REDIS,
    WORKER_SQLITE,
    WORKERS_REDIS,
    embedded_memory,
)
from benchmarks.wire import HOST, LoadDevice
from ringline_broker.authority import Authority
from tests.support.bound import BOUND_S
from tests.support.services import missing

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists() and not os.environ.get("CI"), reason="measures with what Linux has"
)

UNPINNED = Cores(None, None, "not pinned: tests run beside each other")
FORM = replace(TOY, in_memory=False, burst_after_s=1)
FIGURES = {
    "calls": (fig.CPU_US, fig.CALLS_PER_S, fig.GENERATOR, fig.PAYLOAD),
    "rate": (fig.RING_P50, fig.RING_P99, fig.ANSWER_P50, fig.ANSWER_P99),
    "devices": (fig.DEVICE_KIB,),
    "client": fig.CLIENT,
    "safety": fig.SAFE,
    "logins": fig.LOGIN,
    "among": fig.AMONG,
}
BY_PROCESS = {
    MOSQUITTO: {fig.BROKER_US.key},
    WORKER_SQLITE: {fig.BROKER_US.key, fig.WORKER_US.key},
    WORKER_REDIS: {fig.BROKER_US.key, fig.WORKER_US.key, fig.STORE_US.key},
    WORKERS_REDIS: {fig.BROKER_US.key, fig.WORKER_US.key, fig.STORE_US.key},
}
SUBJECTS = {
    "safety": set(safety.PROTECTED),
    "logins": set(safety.LOGINS),
    "among": set(map(fig.others_subject, FORM.others)),
}
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
    assert samples.keys() == names - (set(BESIDE) if part == "devices" else set())
    for name, values in samples.items():
        more = BY_PROCESS.get(name, set()) if part == "calls" else set[str]()
        assert values.keys() == {figure.key for figure in FIGURES[part]} | more
        assert all(len(rounds) == 1 and rounds[0] >= 0 for rounds in values.values())
    if part == "calls":
        for name in names & BY_PROCESS.keys():
            by_process = [samples[name][key][0] for key in BY_PROCESS[name]]
            assert min(by_process) > 0
            assert sum(by_process) == pytest.approx(samples[name][fig.CPU_US.key][0])
        assert all(0 < values[fig.GENERATOR.key][0] < 200 for values in samples.values())
        payload = {name: values[fig.PAYLOAD.key][0] for name, values in samples.items()}
        assert min(payload.values()) > 0
        assert max(bytes_ for name, bytes_ in payload.items() if name not in BESIDE) <= 600, "workers may repeat events"


@pytest.mark.parametrize("part", list(SUBJECTS))
def test_what_safety_costs(lab: Lab, part: str) -> None:
    samples = measured(lab, part)

    assert samples.keys() == SUBJECTS[part]
    for values in samples.values():
        assert values.keys() == {figure.key for figure in FIGURES[part]}
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


def test_everything_is_measured_where_all_programs_are() -> None:
    for name in PROGRAMS:
        if find_program(name) is None:
            missing(name)

    assert tuple(system.name for system in systems.systems(memory=True)) == systems.NAMES


@pytest.mark.parametrize(
    ("name", "left_out"), [("mosquitto", {MOSQUITTO, *BESIDE}), ("redis-server", {WORKER_REDIS, WORKERS_REDIS})]
)
def test_without_a_program_the_others_are_measured(
    monkeypatch: pytest.MonkeyPatch, name: str, left_out: set[str]
) -> None:
    monkeypatch.setattr(systems, "find_program", lambda other: None if other == name else other)

    assert {system.name for system in systems.systems(memory=True)} == {*systems.NAMES} - left_out


def test_what_comes_twice_is_heard_once(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    load = RinglineCalls(Order(kind="ringline", count=1), server.port)
    sent: list[dict[str, Any]] = []

    def send(_device: LoadDevice | int, _topic: str, payload: bytes) -> None:
        sent.append(msgpack.unpackb(payload))

    def hear(ev: str, by: str, user: str) -> None:
        device = next(load.device(number) for number in range(2) if load.user(number) == user)
        load.heard(device, b"ringline/v1/u/any/evt", msgpack.packb([{"ev": ev, "iid": sent[0]["iid"], "by": by}]))

    async def call() -> None:
        both_are_gone = asyncio.Event()
        gone: list[LoadDevice] = []

        def lost(device: LoadDevice) -> None:
            gone.append(device)
            if len(gone) == 2:
                both_are_gone.set()

        monkeypatch.setattr(load, "_lost", lost)
        await load.connect(2)
        load.begin()
        (callee,) = sent[0]["to"]
        (caller,) = {load.user(0), load.user(1)} - {callee}
        for _ in range(2):
            hear("invited", caller, callee)
            hear("accepted", callee, callee)
        assert load.tally.ended == 0
        hear("accepted", callee, caller)
        for number in range(2):
            transport = load.device(number).transport
            assert transport is not None
            transport.abort()
        await asyncio.wait_for(both_are_gone.wait(), BOUND_S)

    monkeypatch.setattr(load, "send", send)
    asyncio.run(call())

    assert [request["op"] for request in sent] == ["invite", "accept"]
    assert load.tally.ended == 1


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
    assert min(report.process_cpu_s) >= 0


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


def test_a_process_is_ended_that_was_just_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []

    class Interrupted(subprocess.Popen[str]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)
            signal.raise_signal(signal.SIGHUP)

    before = signal.signal(signal.SIGHUP, end_as_killed)
    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    try:
        with pytest.raises(SystemExit), child([sys.executable, "-c", "import sys; sys.stdin.read()"]):
            pass
        assert started[0].returncode == -signal.SIGTERM
    finally:
        signal.signal(signal.SIGHUP, before)
        started[0].kill()


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


def test_parts_can_be_chosen(lab: Lab) -> None:
    whole = Bench(FORM, lab)

    steps = [step.label for step in whole.steps(["client", "devices"])]

    assert tuple(whole.parts()) == PARTS
    assert steps == [step.label for part in ("devices", "client") for step in whole.parts()[part]]


def test_a_part_alone_makes_no_page() -> None:
    with command("--toy", "--only", "client", "--write") as process:
        out, err = process.communicate(timeout=BOUND_S)

    assert (process.returncode, out) == (2, "")
    assert "the page needs all of them" in err


def test_a_file_that_is_no_result_is_told(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text('{"form": {"open": []}}')

    with command("--from-json", str(file)) as process:
        out, err = process.communicate(timeout=BOUND_S)

    assert process.returncode == 1
    assert (out, err) == ("", f"\nbench: {file} is no result of this version of the benchmark\n")
