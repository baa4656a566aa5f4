"""The Dockerfile and the compose file: parsed and checked, and built by nobody here."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from ringline import __version__
from ringline_broker.cli import loops
from tests.deploy.commands import parsed
from tests.support.running import free_port

ROOT: Final = Path(__file__).parent.parent.parent
DOCKERFILE: Final = ROOT / "deploy/docker/Dockerfile"
COMPOSE: Final = ROOT / "deploy/compose/compose.yaml"
PAGE: Final = COMPOSE.with_name("README.md")


class Stage(NamedTuple):
    """A part of the Dockerfile that ends in an image."""

    name: str
    base: str
    lines: list[tuple[str, str]]

    def last(self, instruction: str, stages: "dict[str, Stage]") -> str | None:
        """The value that holds in the end, that of the stage it builds on where it has none."""
        own = [value for name, value in self.lines if name == instruction]
        if own:
            return own[-1]
        return stages[self.base].last(instruction, stages) if self.base in stages else None


def stages() -> dict[str, Stage]:
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, Stage] = {}
    current: Stage | None = None
    for line in filter(None, map(str.strip, text.splitlines())):
        instruction, _, value = line.partition(" ")
        if instruction == "FROM":
            base, as_, name = value.split()
            assert as_ == "AS"
            current = found[name] = Stage(name, base, [])
        else:
            assert current is not None
            current.lines.append((instruction, value.strip()))
    return found


def services() -> dict[str, dict[str, Any]]:
    read: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    found: dict[str, dict[str, Any]] = read["services"]
    return found


def is_pinned(image: str) -> bool:
    return re.search(r":\d+\.\d+(\.\d+)?(-[\w-]+)?$", image) is not None


IMAGES: Final = ("worker", "broker")


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_nobody_special_and_ends_by_sigterm(name: str) -> None:
    made = stages()
    assert made[name].last("USER", made) == "ringline"
    assert made[name].last("STOPSIGNAL", made) == "SIGTERM"


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_runs_one_program_without_a_shell_and_says_whether_it_is_well(name: str) -> None:
    made = stages()
    command = made[name].last("CMD", made)
    assert command is not None
    assert json.loads(command)
    check = made[name].last("HEALTHCHECK", made)
    assert check is not None
    _, _, asked = check.partition(" CMD ")
    compile(json.loads(asked)[-1], "health check", "exec")


def test_the_command_line_takes_what_the_worker_starts_with_and_its_port_is_asked() -> None:
    made = stages()
    entry, command, check = (made["worker"].last(name, made) or "[]" for name in ("ENTRYPOINT", "CMD", "HEALTHCHECK"))
    assert json.loads(entry) == ["ringline"]
    port = parsed(json.loads(command))["http_port"]
    assert f"http://127.0.0.1:{port}/readyz" in check


def test_images_are_made_of_versions() -> None:
    made = stages()
    assert [stage.base for stage in made.values() if stage.base not in made and not is_pinned(stage.base)] == []


def test_what_is_copied_is_there_and_the_builder_gets_it_with_the_pins() -> None:
    build = stages()["build"]
    copied = {word for name, value in build.lines if name == "COPY" for word in shlex.split(value)[:-1]}
    assert [name for name in copied if not (ROOT / name).exists()] == []
    given = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().split()
    assert copied == {line[1:] for line in given if line.startswith("!")}
    assert any(name == "ENV" and "PIP_CONSTRAINT=/src/constraints.txt" in value for name, value in build.lines)


def test_nothing_is_open_beyond_this_machine() -> None:
    ports = [port for service in services().values() for port in service.get("ports", ())]
    assert ports
    assert all(str(port).startswith("127.0.0.1:") for port in ports)
    networks = yaml.safe_load(COMPOSE.read_text())["networks"]
    assert networks["store"]["internal"]
    assert services()["redis"]["networks"] == ["store"]


@pytest.mark.parametrize("name", services())
def test_a_service_has_a_version_and_a_health_check_and_comes_back(name: str) -> None:
    service = services()[name]
    assert is_pinned(service["image"])
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert service["restart"] == "unless-stopped"
    assert "privileged" not in service


@pytest.mark.parametrize("name", services())
def test_a_service_is_not_root_and_may_not_become_it(name: str) -> None:
    service = services()[name]
    user = str(service.get("user") or stages()[name].last("USER", stages()))
    assert user in ("ringline", "redis") or user.startswith("${RINGLINE_USER:?")
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])


class _Answer(BaseHTTPRequestHandler):
    """Ready or not, as the server's `status` says."""

    def do_GET(self) -> None:
        self.send_response(self.server.status if self.path == "/readyz" else 404)  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing."""


@pytest.mark.parametrize(("status", "is_well"), [(200, True), (503, False), (None, False)])
def test_a_worker_is_well_while_it_says_that_it_is_ready(status: int | None, is_well: bool) -> None:
    command = services()["worker"]["healthcheck"]["test"][-1]
    assert json.dumps(command) in (stages()["worker"].last("HEALTHCHECK", stages()) or "")
    with HTTPServer(("127.0.0.1", 0), _Answer) as server:
        server.status = status  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
        port = free_port() if status is None else server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        asked = [sys.executable, "-c", command.replace(":9464/", f":{port}/")]
        done = subprocess.run(asked, capture_output=True, timeout=60, check=False)
        server.shutdown()
        thread.join()
    assert (done.returncode == 0) is is_well


def test_there_are_two_workers_that_have_time_to_end_and_no_secret_on_the_command_line() -> None:
    worker = services()["worker"]
    assert worker["deploy"]["replicas"] == 2
    assert int(worker["stop_grace_period"].removesuffix("s")) > loops._STOP_WITHIN_S
    options = parsed(worker["command"])
    assert (options["share"], worker["env_file"]) == ("", ["./site/worker.env"])
    assert f":{options['http_port']}/readyz" in worker["healthcheck"]["test"][-1]
    assert options["store"] == "redis://redis:6379"
    assert options["broker"].rpartition("@")[2] == "mosquitto:1883"


def test_prometheus_reaches_the_workers_pages_from_the_brokers_network_and_nobody_from_outside() -> None:
    worker = services()["worker"]
    options = parsed(worker["command"])
    assert ip_address(options["http_host"]).is_unspecified
    assert "ports" not in worker
    assert "broker" in worker["networks"]
    (job,) = yaml.safe_load("".join(re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)))["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    assert (job["job_name"], found["names"], found["port"]) == ("ringline", ["worker"], options["http_port"])
    assert job["relabel_configs"] == [{"target_label": "role", "replacement": "worker"}]


@pytest.mark.parametrize(("uid", "owner"), [(1000, "1000:1000"), (0, "10001:10001")])
def test_the_broker_runs_as_the_owner_of_its_folder_and_not_as_root(tmp_path: Path, uid: int, owner: str) -> None:
    """What the page says is typed, with a docker that only writes down what it is asked."""
    for name, does in {"id": f"echo {uid}", "docker": 'echo "$@" >> did', "chown": 'echo chown "$@" >> did'}.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o755)
    (block,) = (text for text in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL) if "mkdir site" in text)
    path = os.pathsep.join((str(tmp_path / "bin"), os.environ["PATH"]))
    subprocess.run(["/bin/sh", "-euc", block], cwd=tmp_path, env={"PATH": path}, timeout=60, check=True)
    assert (tmp_path / ".env").read_text() == f"RINGLINE_USER={owner}\n"
    did = (tmp_path / "did").read_text()
    assert f"run --rm --user {owner} " in did
    assert (f"chown {owner} site" in did) is (uid == 0)
    assert "--uid 10001 " in dict(stages()["base"].lines)["RUN"]


def test_our_images_are_of_this_version() -> None:
    ours = [service["image"] for service in services().values() if service["image"].startswith("ringline-")]
    assert ours == [f"ringline-broker:{__version__}", f"ringline-worker:{__version__}"]


def test_redis_follows_the_patch_releases_of_a_version() -> None:
    assert re.fullmatch(r"redis:\d+\.\d+-\w+", services()["redis"]["image"])


def test_redis_keeps_what_it_was_told() -> None:
    words = services()["redis"]["command"]
    said = dict(zip(words[1::2], words[2::2], strict=True))
    assert (said["--appendonly"], said["--maxmemory-policy"]) == ("yes", "noeviction")
    assert "redis:/data" in services()["redis"]["volumes"]
