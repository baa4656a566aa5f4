"""Flags over a TOML file over defaults."""

import dataclasses
from pathlib import Path

import pytest

from ringline_broker.cli.config import ServeOptions, Serving, merged
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.group.life import CreateOptions, SetOptions
from ringline_broker.cli.invite import InviteOptions
from ringline_broker.cli.options import helps
from ringline_broker.cli.session import OneShotOptions
from ringline_broker.settings import Bounds, ConnectionLimits, Settings


def merge(folder: Path, text: str, flags: set[str] | None = None, **given: object) -> Serving:
    file = folder / "ringline.toml"
    file.write_text(text)
    options = dataclasses.replace(ServeOptions(), **given)  # type: ignore[arg-type]
    return merged(file, Serving(options), flags or set(given))


def test_the_file_beats_the_default_and_a_flag_beats_the_file(tmp_path: Path) -> None:
    text = 'port = 1884\nws_port = 9001\nmax_open = 4\nmax_groups = 7\nmax_devices = 50\ndurability = "normal"'
    told = merge(tmp_path, text, port=1885)

    assert (told.options.port, told.options.ws_port, told.options.durability) == (1885, 9001, "normal")
    assert (told.settings.max_open, told.settings.max_groups) == (4, 7)
    assert told.connections == dataclasses.replace(ConnectionLimits(), max_devices=50)
    assert told.options.host == "127.0.0.1"


def test_a_flag_beats_the_file_even_where_it_says_the_default(tmp_path: Path) -> None:
    told = merge(tmp_path, "port = 1884", port=1883)

    assert told.options.port == 1883


def test_limits_of_connections_are_flags_and_keys(tmp_path: Path) -> None:
    file = tmp_path / "ringline.toml"
    file.write_text("max_failures = 3\npacket_rate = 7")
    flags = Serving(connections=ConnectionLimits(packet_rate=9))

    told = merged(file, flags, {"packet_rate"})

    assert (told.connections.max_failures, told.connections.packet_rate) == (3, 9)


def test_every_option_belongs_to_one_group() -> None:
    names = [field.name for group in (ServeOptions, Settings, ConnectionLimits) for field in dataclasses.fields(group)]

    assert len(names) == len(set(names)) > 30


def test_paths_in_the_file_are_beside_it(tmp_path: Path) -> None:
    text = 'data = "kept"\nusers = "/etc/users"\nclient_ca = "certs/authority.pem"\nclient_crl = "revoked.pem"'
    options = merge(tmp_path, text).options

    assert options.data == tmp_path / "kept"
    assert (options.client_ca, options.client_crl) == (tmp_path / "certs/authority.pem", tmp_path / "revoked.pem")
    assert options.users == Path("/etc/users")


def test_a_folder_on_the_command_line_beats_memory_in_the_file(tmp_path: Path) -> None:
    options = merge(tmp_path, "memory = true", data=Path("kept")).options

    assert (options.memory, options.data) == (False, Path("kept"))


def test_memory_on_the_command_line_beats_a_folder_in_the_file(tmp_path: Path) -> None:
    assert merge(tmp_path, 'data = "kept"', memory=True).options.memory


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prot = 1883", "there is no key 'prot'"),
        ("[server]\nport = 1883", "there is no key 'server'"),
        ("tls-port = 1", "there is no key 'tls-port'"),
        ('port = "1883"', "port must be a whole number, not '1883'"),
        ("port = true", "port must be a whole number, not True"),
        ("memory = 1", "memory must be true or false, not 1"),
        ("data = 7", "data must be a path, as a string, not 7"),
        ("prefix = 7", "prefix must be a string, not 7"),
        ('durability = "some"', "durability must be one of full, normal, not 'some'"),
        ("durability = [1]", "durability must be one of full, normal"),
        ("max_open = 0", "max_open must be a whole number of at least 1"),
        ("max_groups = -1", "max_groups must be a whole number of at least 0"),
        ("retention_s = 1000000001", "retention_s must be at most 1000000000, not 1000000001"),
        ("max_record_bytes = 67108865", "max_record_bytes must be at most 67108864, not 67108865"),
        ("max_waiting_bytes = 1099511627777", "max_waiting_bytes must be at most 1099511627776, not 1099511627777"),
        ("packet_s = inf", "packet_s must be at most 1000000000, not inf"),
        ("packet_s = nan", "packet_s must be above 0, not nan"),
        ('max_live = "many"', "max_live must be a whole number, not 'many'"),
        ("port = 65536", "--port must be 0 to 65535"),
        ("max_devices = 0", "max_devices must be a whole number of at least 1"),
        ("insecure = 1", "insecure must be true or false, not 1"),
        ('memory = true\ndata = "x"', "--memory keeps nothing on disk"),
        ("port = ", "is no TOML"),
    ],
)
def test_errors_name_the_file_and_the_key(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Failure) as failed:
        merge(tmp_path, text)

    assert failed.value.code == ExitCode.WRONG_USE
    assert says in str(failed.value)
    assert "ringline.toml" in str(failed.value)


@pytest.mark.parametrize(
    ("group", "name"),
    [
        (type(group), field.name)
        for group in (Settings(), ConnectionLimits(), Bounds())
        for field in dataclasses.fields(group)
        if field.name != "prefix"
    ],
)
def test_every_number_has_an_end(group: type, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be (at most|below) "):
        group(**{name: 2**40 + 1})


def test_one_line_of_help_may_be_about_several_options() -> None:
    @dataclasses.dataclass
    class Limits:
        """Limits.

        Attributes:
            low, high: how much,
                at most.
            other: another.
        """

    assert helps(Limits) == {"low": "how much, at most.", "high": "how much, at most.", "other": "another."}


@pytest.mark.parametrize(
    "group", [ServeOptions, Settings, ConnectionLimits, OneShotOptions, InviteOptions, CreateOptions, SetOptions]
)
def test_every_option_has_help(group: type) -> None:
    assert set(helps(group)) == {field.name for field in dataclasses.fields(group)}
