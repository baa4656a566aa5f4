"""The systemd units: what they start, how they end it, and what they let it do."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest
from prometheus_client import ProcessCollector

from ringline_broker.cli import loops
from ringline_broker.cli.config import Serving, merged
from ringline_broker.cli.exits import ExitCode
from ringline_broker.cli.exposure import ports_to_open
from ringline_broker.deployment.mosquitto import config_file, worker_env
from tests.deploy.commands import parsed

SYSTEMD: Final = Path(__file__).parent.parent.parent / "deploy/systemd"
UNITS: Final = sorted(SYSTEMD.glob("*.service"), key=lambda file: file.name)
DROP_IN: Final = SYSTEMD / "mosquitto.service.d/ringline.conf"
MOSQUITTO: Final = "/usr/sbin/mosquitto"
PROGRAM: Final = "/opt/ringline/bin/ringline"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not there, and need not be"
)


def service(file: Path) -> dict[str, list[str]]:
    """A unit's settings of the section Service; a name may stand several times."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in file.read_text().splitlines():
        if line.startswith("["):
            section = line
        elif line and line[0] not in "#;" and section == "[Service]":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def command(file: Path, told: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """What it starts as instance 9461; variables are the unit's own where the file of secrets tells no others.

    As systemd does it: `${NAME}` stands for its value, `$NAME` as a word by itself for the words of its value.
    """
    settings = service(file)
    values = {**dict(line.split("=", 1) for line in settings.get("Environment", ())), **told}
    (line,) = settings["ExecStart"]
    found: list[str] = []
    for word in shlex.split(line.replace("%i", "9461")):
        if plain := re.fullmatch(r"\$(\w+)", word):
            found += shlex.split(values[plain[1]])
        else:
            found.append(re.sub(r"\$\{(\w+)\}", lambda name: values[name[1]], word))
    return found


@pytest.fixture(params=UNITS, ids=lambda file: file.name)
def unit(request: pytest.FixtureRequest) -> Path:
    file: Path = request.param
    return file


def test_there_is_one_for_a_server_and_one_for_workers() -> None:
    assert [file.name for file in UNITS] == ["ringline-worker@.service", "ringline.service"]


def test_the_command_line_takes_what_it_starts(unit: Path) -> None:
    program, *words = command(unit)
    assert program == PROGRAM
    assert parsed(words)


def test_a_worker_gets_its_secrets_from_a_file_and_a_port_of_its_own() -> None:
    file = SYSTEMD / "ringline-worker@.service"
    assert service(file)["EnvironmentFile"] == ["/etc/ringline/worker.env"]
    options = parsed(command(file)[1:])
    assert (options["broker"], options["http_port"]) == ("mqtt://ringline-worker@127.0.0.1:1883", 9461)
    assert options["share"] == ""  # from the file: everybody may see a command line


def test_a_worker_is_told_what_else_the_page_has_in_its_file() -> None:
    lines = re.findall(r"^(RINGLINE_\w+)=(.*)$", (SYSTEMD / "README.md").read_text(), re.MULTILINE)
    options = parsed(command(SYSTEMD / "ringline-worker@.service", dict(lines))[1:])
    assert options["broker"] == "mqtts://ringline-worker@broker.example.org:8883"
    assert options["cafile"] == Path("/etc/ringline/authority.pem")
    assert (options["permissions"], options["group_topics"], options["http_port"]) == ("dynsec", True, 9461)


def test_it_is_started_again_and_ended_in_peace(unit: Path) -> None:
    settings = service(unit)
    assert settings["Type"] == ["exec"]  # it does not notify
    assert settings["Restart"] == ["always"]
    assert settings["KillSignal"] == ["SIGTERM"]
    assert int(settings["TimeoutStopSec"][0]) > loops._STOP_WITHIN_S
    hopeless = {str(int(code)) for code in (ExitCode.WRONG_USE, ExitCode.NOT_INSTALLED)}
    assert set(settings["RestartPreventExitStatus"][0].split()) == hopeless


def test_it_may_do_little(unit: Path) -> None:
    settings = service(unit)
    for name in ("DynamicUser", "NoNewPrivileges", "PrivateTmp", "PrivateDevices", "RestrictNamespaces"):
        assert settings[name] == ["yes"], name
    assert settings["ProtectSystem"] == ["strict"]
    assert settings["CapabilityBoundingSet"] == [""]
    assert settings["SystemCallFilter"][0] == "@system-service"
    assert int(settings["LimitNOFILE"][0]) >= 65_536


def calls_of(name: str) -> set[str]:
    """The system calls of a filter's word, as systemd has them; of a group all."""
    if not name.startswith("@"):
        return {name}
    said = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    words = [line.strip() for line in said.splitlines()[1:] if not line.strip().startswith("#")]
    return {call for word in words for call in calls_of(word)}


def allowed(unit: Path) -> set[str]:
    """The system calls that a unit's filters leave: each adds, or takes away."""
    found: set[str] = set()
    for line in service(unit)["SystemCallFilter"]:
        calls = {call for word in line.removeprefix("~").split() for call in calls_of(word)}
        found = found - calls if line.startswith("~") else found | calls
    return found


@needs_systemd
def test_a_server_may_lower_the_priority_of_its_threads() -> None:
    """Or a wave of logins holds up calls: see `_give_way` of the users' file."""
    calls = allowed(SYSTEMD / "ringline.service")
    assert "setpriority" in calls
    assert not {"chown", "mount", "setrlimit", "setuid"} & calls
    assert {"epoll_wait", "fsync"} <= calls


def test_it_may_read_what_its_metrics_are_made_of(unit: Path, tmp_path: Path) -> None:
    """Without `stat` in /proc, which this setting hides, there is no metric of the process at all."""
    assert not list(ProcessCollector(proc=str(tmp_path), registry=None).collect())
    assert list(ProcessCollector(registry=None).collect())
    assert service(unit).get("ProcSubset", ["all"]) == ["all"]


def test_the_servers_file_is_taken_and_opens_only_what_is_encrypted(tmp_path: Path) -> None:
    file = tmp_path / "ringline.toml"
    file.write_text((SYSTEMD / file.name).read_text())
    told = merged(file, Serving(), set())
    assert ports_to_open(told.options) == {"tls_port": 8883}
    assert told.options.users == tmp_path / "users"


def verified(file: Path) -> tuple[int, list[str]]:
    """How `systemd-analyze verify` ends, and what it says of this file and of what is added to it."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    lines = done.stderr.splitlines()
    return done.returncode, [line for line in lines if str(file.parent) in line or file.stem in line]


def with_a_program(text: str, program: str) -> str:
    """It looks for the program."""
    return text.replace(program, shutil.which("true") or program)


@needs_systemd
def test_systemd_understands_every_line(unit: Path, tmp_path: Path) -> None:
    file = tmp_path / unit.name.replace("@.", "@9461.")
    file.write_text(with_a_program(unit.read_text(), PROGRAM))
    assert verified(file) == (0, [])


def test_mosquitto_is_started_with_what_deploy_writes_and_started_again() -> None:
    settings = service(DROP_IN)
    emptied, started = settings["ExecStart"]
    assert not emptied, "the package's own command stays"
    (folder,) = re.findall(r"ringline deploy mosquitto (/\S+)$", (SYSTEMD / "README.md").read_text(), re.MULTILINE)
    assert shlex.split(started) == [MOSQUITTO, "-c", str(config_file(Path(folder)))]
    assert service(SYSTEMD / "ringline-worker@.service")["EnvironmentFile"] == [str(worker_env(Path(folder)))]
    assert settings["Restart"] == ["always"]
    assert int(settings["LimitNOFILE"][0]) >= 65_536


@needs_systemd
def test_systemd_takes_it_in_addition_to_the_packages_unit(tmp_path: Path) -> None:
    file = tmp_path / "mosquitto.service"
    packaged = f"[Service]\nType=notify\nExecStart={MOSQUITTO} -c /etc/mosquitto/mosquitto.conf\n"
    file.write_text(with_a_program(packaged, MOSQUITTO))
    added = tmp_path / DROP_IN.relative_to(SYSTEMD)
    added.parent.mkdir()
    added.write_text(with_a_program(DROP_IN.read_text(), MOSQUITTO))
    assert verified(file) == (0, [])
