"""What a process does that is a server and nothing else."""

import logging
import resource
from collections.abc import Iterator

import pytest

from ringline_broker.server import allow_many_connections
from ringline_broker.settings import ConnectionLimits


@pytest.fixture
def files() -> Iterator[int]:
    """The most there may be; what there was before is put back."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
    yield most
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


def test_as_many_files_are_asked_for_as_there_may_be(files: int, caplog: pytest.LogCaptureFixture) -> None:
    allow_many_connections(ConnectionLimits(max_devices=10, max_logins=10))
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == files
    assert caplog.messages == []


def test_too_few_are_said(files: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    allow_many_connections(ConnectionLimits(max_devices=files + 1))
    (said,) = caplog.messages
    assert f"the system gives {files} open files" in said
    assert "ulimit -n" in said
