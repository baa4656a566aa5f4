"""The machine: what it is, and which of its cores the servers and the load generator get."""

import os
import platform
import re
import sqlite3
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.errors import BenchError

_PACKAGES = ("ringline", "amqtt", "uvloop", "msgpack", "paho-mqtt", "mqtt5", "hiredis")
_CPU = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Cores:
    """A core for the servers and another for the load generator; None: not pinned.

    Attributes:
        note: how they are pinned, or why they are not.
    """

    server: int | None
    load: int | None
    note: str


def choose_cores() -> Cores:
    """Two of the cores that this process may use, not two halves of one where that can be helped."""
    if not hasattr(os, "sched_setaffinity"):
        return Cores(None, None, "Nothing is pinned: this system has no sched_setaffinity.")
    server, *others = sorted(os.sched_getaffinity(0))
    if not others:
        return Cores(None, None, "Nothing is pinned: there is one core only, which the load generator shares.")
    siblings = _siblings(server)
    load = next((core for core in others if core not in siblings), others[0])
    note = f"All processes of a server are pinned to core {server}, the load generator to core {load}."
    if load in siblings:
        note += " The two are halves of one core, so each slows the other down."
    return Cores(server, load, note)


def _siblings(core: int) -> set[int]:
    try:
        text = (_CPU / f"cpu{core}/topology/thread_siblings_list").read_text().strip()
    except OSError:
        return {core}
    ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
    return {number for part in ends for number in range(part[0], part[-1] + 1)}


def require_proc() -> None:
    """Check that a process's CPU time and memory can be read.

    Raises:
        BenchError: they cannot.
    """
    if not Path("/proc/self/stat").exists():
        raise BenchError("CPU time and memory are read from /proc, which this system does not have: run it on Linux")


def describe(folder: Path, programs: Mapping[str, str | None]) -> dict[str, str]:
    """What figures depend on.

    Args:
        folder: where the stores are.
        programs: where each of those is that are not Python; None where it is not installed.
    """
    return {
        "CPU": _cpu_model(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "file system of the stores": _file_system(folder),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: version(name) for name in _PACKAGES},
        "OpenSSL": ssl.OPENSSL_VERSION.removeprefix("OpenSSL "),
        "sqlite": sqlite3.sqlite_version,
        **{name: _version(program) if program else "not installed" for name, program in programs.items()},
    }


def _cpu_model() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    """The kind of the innermost mount that the folder lies in."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    holding = [(where, kind) for where, kind in mounts if folder.resolve().is_relative_to(where)]
    return max(holding, key=lambda mount: len(mount[0]))[1] if holding else "unknown"


def _version(program: str) -> str:
    """Mosquitto and redis both say it, the one in its help and the other when asked."""
    said = "".join(
        subprocess.run([program, word], capture_output=True, text=True, check=False, timeout=10).stdout
        for word in ("-h", "--version")
    )
    found = re.search(r"(?:version |v=)(\d\S*)", said)
    return found[1] if found else "of unknown version"
