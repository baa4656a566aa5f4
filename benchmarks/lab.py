"""Where servers run, and which of them that are not Python are installed."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.machine import Cores

MOSQUITTO_PROGRAM: Final = "mosquitto"
REDIS_PROGRAM: Final = "redis-server"
PROGRAMS: Final = (MOSQUITTO_PROGRAM, REDIS_PROGRAM)


@dataclass(frozen=True)
class Lab:
    """Where servers run.

    Attributes:
        folder: for their files; on the disk that a real server would use.
        cores: for them and for the load generator.
    """

    folder: Path
    cores: Cores


def find_program(name: str) -> str | None:
    """Where it is, which need not be on a user's path; None where it is not installed."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
