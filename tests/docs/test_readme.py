"""Everything that README.md tells a reader to type is done here."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

from ringline_broker.cli import app
from ringline_broker.cli.config import Serving, merged
from tests.cli.process import Ringline
from tests.support.mosquitto import find_mosquitto
from tests.support.redis_servers import RedisServer, redis_binary
from tests.support.running import Ring, free_port
from tests.support.services import missing

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
IN_TABLES = re.findall(r"^\| `(ringline .*?)`", README, re.MULTILINE)
ELSEWHERE = ("sudo apt-get install", "pip install .", "pip install '.[broker]'", "/usr/sbin/mosquitto -c ", "set -a; ")
"""What is no command of ours: packages are not installed by a test."""


def blocks(kind: str) -> list[str]:
    found = [text for name, text in BLOCKS if name == kind]
    assert found, kind
    return found


def shell_lines() -> list[str]:
    return [line.removesuffix(" &") for block in blocks("sh") for line in block.splitlines() if line]


def is_ours(line: str) -> bool:
    return line.startswith(("ringline ", ".venv/bin/ringline "))


def parse(words: list[str]) -> None:
    """As the command itself would; raises where it would say that it is used wrongly."""
    command = get_command(app)
    while isinstance(command, TyperGroup):
        name, *words = words
        command = command.commands[name]
    command.make_context(command.name, words)


@pytest.mark.parametrize("line", [*filter(is_ours, shell_lines()), *IN_TABLES])
def test_commands_are_used_rightly(line: str) -> None:
    parse(shlex.split(line)[1:])


@pytest.mark.parametrize("line", ["ringline invite", "ringline listen --loud", "ringline call bob"])
def test_the_check_can_fail(line: str) -> None:
    with pytest.raises((typer.TyperException, KeyError)):
        parse(shlex.split(line)[1:])


@pytest.mark.parametrize("line", [line for line in shell_lines() if not is_ours(line)])
def test_other_commands_are_known(line: str) -> None:
    if line.startswith("make "):
        subprocess.run(["make", "--dry-run", *shlex.split(line)[1:]], cwd=ROOT, check=True, capture_output=True)
    else:
        assert line.startswith(ELSEWHERE)


def test_every_command_is_named() -> None:
    named = {line.split()[1] for line in IN_TABLES}
    also = {"reject", "cancel", "modify", "show", "unblock", "blocked"}
    groups = {info.typer_instance.info.name for info in app.registered_groups if info.typer_instance}

    assert named | also == {info.callback.__name__ for info in app.registered_commands if info.callback} | groups


@pytest.fixture
def server() -> Iterator[Ring]:
    with Ring() as ring:
        yield ring


@pytest.mark.parametrize("which", range(2), ids=["a call", "a group"])
def test_the_program_prints_what_it_says(server: Ring, which: int) -> None:
    done = run_python(blocks("python")[which], server.port)

    assert done.stdout == blocks("text")[which]
    assert done.stderr == ""


def test_the_embedded_server_serves(tmp_path: Path) -> None:
    *_, program = blocks("python")

    done = run_python(program, free_port(), tmp_path)

    assert done.stdout == "calls are possible\n"
    assert (tmp_path / "calls.sqlite").is_file()


def run_python(program: str, port: int, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    here, count = re.subn(r"\b1883\b", str(port), program)
    assert count, "it connects to no server"
    return subprocess.run(
        [sys.executable, "-c", here], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    )


def test_the_file_is_one_that_serve_takes(tmp_path: Path) -> None:
    file = tmp_path / "ringline.toml"
    file.write_text(blocks("toml")[0])

    told = merged(file, Serving(), set())

    assert (told.options.ws_port, told.options.data) == (8083, tmp_path / "invitations")
    assert told.settings.max_open == 8


@pytest.mark.skipif(
    not (ROOT / ".venv/bin/ringline").exists() and not os.environ.get("CI"), reason="`make setup` was not run"
)
def test_make_run_and_the_two_lines(tmp_path: Path) -> None:
    """The way in: the lines that `make run` prints are those of README.md, and ring."""
    port = str(free_port())
    make = ("make", "--silent", "--assume-old=.venv/.installed", "-C", str(ROOT), "run")
    folder = shlex.quote(str(tmp_path))
    with contextlib.ExitStack() as ending:
        # as in a terminal where no virtual environment is active: else it prints the shorter name
        path = os.pathsep.join(one for one in os.environ["PATH"].split(os.pathsep) if Path(one) != ROOT / ".venv/bin")
        server = Ringline(f"PORT={port}", f"ARGS=--data={folder}", program=make, env={"PATH": path})
        ending.callback(server.kill)
        server.line("Ctrl-C ends it")
        printed = [line.strip().replace(f" --url mqtt://127.0.0.1:{port}", "") for line in server.out if "  " in line]
        assert "\n".join(printed) + "\n" in blocks("sh")

        first, second = (shlex.split(line) for line in printed)
        env = {"RINGLINE_URL": f"mqtt://127.0.0.1:{port}"}
        bob = Ringline(*first[1:], program=(first[0],), cwd=ROOT, env=env)
        ending.callback(bob.kill)
        bob.line("connected as bob")
        alice = Ringline(*second[1:], program=(second[0],), cwd=ROOT, env=env)
        assert alice.end() == 0
        bob.line("ringing: alice invites you")
        assert bob.interrupt() == 0
        server.signal(signal.SIGTERM)
        assert server.end() == -signal.SIGTERM, "make passes it on, and dies of it"


class _Shell:
    """A shell that is told one line after the other, as by somebody who types them.

    Args:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        lines = folder / "typed"
        os.mkfifo(lines)
        program = Path(sys.executable).parent
        path = os.pathsep.join((str(program), os.environ["PATH"]))
        env = {"PATH": path, "RINGLINE_PASSWORD": "a password of alice's"}  # else it is asked for
        self.said = Ringline(str(lines), program=("/bin/sh",), cwd=folder, env=env)
        self._lines = lines.open("w")

    def type(self, line: str) -> None:
        self._lines.write(f"{line}\n")
        self._lines.flush()

    def close(self) -> None:
        self._lines.close()
        self.said.kill()


def test_a_site_of_mosquitto_and_redis(tmp_path: Path) -> None:
    """All lines of that block, one after the other, but for the packages."""
    port = str(free_port())
    (block,) = (block for block in blocks("sh") if "deploy mosquitto" in block)
    with contextlib.ExitStack() as ending:
        redis = ending.enter_context(RedisServer(redis_binary() or missing("redis-server")))
        block = block.replace("redis://127.0.0.1", f"redis://127.0.0.1:{redis.port}").replace("1884", port)
        install, deploy, broker, *rest = block.replace("/usr/sbin/mosquitto", find_mosquitto()).splitlines()
        assert install == "sudo apt-get install mosquitto redis-server"
        if os.geteuid() == 0:
            deploy += " --user root"  # nobody else can read a test's files
        add, load, worker, doctor = rest

        shell = _Shell(tmp_path)
        ending.callback(shell.close)
        shell.type(deploy)
        shell.said.line("wrote a configuration of Mosquitto to site")
        shell.type(broker)
        shell.said.err_line("mosquitto version .* running")
        shell.type(add)
        shell.said.line("^added alice$")
        shell.type(load)
        shell.type(worker)
        shell.said.line(f"works beside mqtt://127.0.0.1:{port}, and keeps invitations in redis://")
        shell.type(f"{doctor} || echo it failed")
        assert shell.said.line("(, 0 failed, )|it failed").endswith("skipped")


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_links_lead_somewhere(link: str) -> None:
    assert link.startswith("https://") or (ROOT / link).exists()
