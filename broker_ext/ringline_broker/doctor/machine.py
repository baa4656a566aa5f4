"""What the machine has that the extension runs on."""

import platform
import resource
from importlib import metadata, util
from typing import Final

from ringline_broker.doctor.report import Check, Found, fail, ok, warn

AREA: Final = "machine"
_FEW_FILES: Final = 256
_PACKAGES: Final = ("ringline", "mqtt5", "hiredis", "msgpack", "paho-mqtt", "uvloop")


def checks() -> tuple[Check, ...]:
    """The checks of this machine, which need nothing else."""
    return (
        Check(AREA, "open files", _look_at_files),
        Check(AREA, "uvloop", _look_for_uvloop),
        Check(AREA, "versions", _list_versions),
    )


async def _look_at_files() -> Found:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return ok("no limit")
    text = f"{most} a process; a worker needs few, a broker one for each device"
    return ok(text) if most >= _FEW_FILES else warn(text, "raise it (ulimit -n; LimitNOFILE in a systemd unit)")


async def _look_for_uvloop() -> Found:
    if util.find_spec("uvloop") is not None:
        return ok("installed")
    return warn("not installed: a worker takes more CPU a call", "pip install uvloop")


async def _list_versions() -> Found:
    versions = {name: _version(name) for name in _PACKAGES}
    missing = [name for name, number in versions.items() if not number and name != "uvloop"]
    if missing:
        return fail(f"not installed: {', '.join(missing)}", "pip install 'ringline[broker]'")
    found = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    return ok(f"Python {platform.python_version()}, {found}")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
