"""The command as a whole."""

import platform
import sys
from importlib.metadata import version

import pytest

from ringline_broker.cli import app
from tests.cli.process import Finished, Ringline, assert_clean_error

COMMANDS = (
    "serve", "worker", "deploy", "user", "cert", "group", "listen", "invite", "accept", "reject", "cancel", "modify",
    "show", "block", "unblock", "blocked", "doctor", "version",
)  # fmt: skip


def test_versions() -> None:
    text = Finished("version")
    assert text.code == 0
    assert text.out[0].split() == ["ringline", version("ringline")]

    (line,) = Finished("version", "--json").events
    assert line == {
        "ringline": version("ringline"),
        "amqtt": version("amqtt"),
        "paho-mqtt": version("paho-mqtt"),
        "python": platform.python_version(),
    }


def test_help_lists_every_command_and_the_exit_codes() -> None:
    done = Ringline("--help")

    assert done.end() == 0
    text = "\n".join(done.out)
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert all(word in text for word in ("10", "11", "12", "13", "14", "130", "wrong use", "no broker", "refused"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = Finished(command, "--help")

    assert done.code == 0
    assert len(done.out) > 3
    assert not [line for line in done.out if len(line) > 80]


def test_no_command_at_all_shows_the_help() -> None:
    done = Finished()

    assert done.code == 2
    assert "Usage: ringline" in done.err[0]


def test_an_unknown_command() -> None:
    done = Finished("cal")

    assert done.code == 2
    assert_clean_error(done)
    assert "cal" in done.err[0]


@pytest.mark.parametrize("missing", ["amqtt", "typer", "pwdlib"])
def test_something_to_install(missing: str) -> None:
    """As where only a part is installed."""
    hide = f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['ringline', *sys.argv[1:]]\n"
    program = (sys.executable, "-c", hide + "from ringline.__main__ import main; main()")
    done = Ringline("serve", "--memory", "--port", "0", program=program)

    assert done.end() == 3
    assert_clean_error(done)
    assert missing in done.err[0]
    assert "pip install 'ringline[broker]'" in done.err[1]


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    program = ("sh", "-c", '"$0" -m ringline "$@" | true', sys.executable)
    done = Ringline("--help", program=program)

    done.end()
    assert not any("Traceback" in line for line in done.err)


def test_the_app_can_be_asked_for_its_commands() -> None:
    names = [info.name or getattr(info.callback, "__name__", "") for info in app.registered_commands]
    groups = [info.typer_instance.info.name for info in app.registered_groups if info.typer_instance]

    assert {*names, *groups} == set(COMMANDS)
