"""Which private names of aMQTT the binding uses: only broker.py does, and each is there in the version installed."""

import ast
import asyncio
import inspect
from importlib.metadata import version
from pathlib import Path

import pytest
from amqtt.broker import Broker
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session

import ringline_broker.bindings.amqtt as package

FOLDER = Path(next(iter(package.__path__)))

BROKER_STATE = ["_servers", "_sessions"]
"""What an aMQTT Broker keeps, and broker.py reads or changes."""

BROKER_METHODS = {
    "_authenticate": ["self", "session", "_"],
    "_topic_filtering": ["self", "session", "topic", "action"],
    "_create_server_instance": ["self", "listener_name", "listener_type", "address", "port", "ssl_context"],
    "_create_ssl_context": ["listener"],
    "_session_monitor": ["self"],
}
"""What broker.py calls of an aMQTT Broker, or has another version of, with the parameters."""

SESSION_METHODS = {"_init_states": ["self"]}
"""The same of its Session."""

OVERRIDES = {"_create_server_instance", "_create_ssl_context", "_session_monitor", "_init_states"}
"""Those of them that broker.py has another version of."""


def _is_gone(what: str) -> str:
    return f"aMQTT {version('amqtt')} has no {what} any more, which broker.py uses: see what replaced it"


def _parameters(owner: type, name: str) -> list[str]:
    return list(inspect.signature(getattr(owner, name)).parameters)


def _state() -> set[str]:
    """What instances of aMQTT's classes have."""

    async def make() -> set[str]:
        broker = Broker({"listeners": {"default": {"type": "tcp"}}, "plugins": {}})
        return {*vars(broker), *vars(BrokerProtocolHandler(broker.plugins_manager)), *vars(Session())}

    return asyncio.run(make())


AMQTTS = {
    name
    for name in {*_state(), *dir(Broker), *dir(BrokerProtocolHandler), *dir(Session)}
    if name.startswith("_") and not name.startswith("__")
}
"""Its private names."""


def _names_given(path: Path) -> set[str]:
    """The methods that a module defines, and what it sets on `self`."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    methods = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    return methods | {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}


def _names_used(path: Path) -> set[str]:
    """All that it defines, sets or reads, on whatever object."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return _names_given(path) | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("name", BROKER_STATE)
def test_an_amqtt_broker_has(name: str) -> None:
    assert name in _state(), _is_gone(f"Broker.{name}")


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        *((Broker, name, parameters) for name, parameters in BROKER_METHODS.items()),
        *((Session, name, parameters) for name, parameters in SESSION_METHODS.items()),
    ],
)
def test_a_class_of_amqtt_has(owner: type, name: str, parameters: list[str]) -> None:
    what = f"{owner.__name__}.{name}"
    assert hasattr(owner, name), _is_gone(what)
    found = _parameters(owner, name)
    said = f"aMQTT {version('amqtt')} changed {what}: it takes {found}, broker.py counts on {parameters}"
    assert found == parameters, said


@pytest.mark.parametrize("name", sorted(OVERRIDES))
def test_amqtt_calls_what_we_have_another_version_of(name: str) -> None:
    source = inspect.getsource(Broker) + inspect.getsource(Session)
    assert f"self.{name}(" in source, f"aMQTT {version('amqtt')} does not call {name} any more: ours has no effect"


def test_the_lists_above_are_all_that_broker_py_uses() -> None:
    assert _names_used(FOLDER / "broker.py") & AMQTTS == {*BROKER_STATE, *BROKER_METHODS, *SESSION_METHODS}


def test_no_other_module_uses_any() -> None:
    for path in FOLDER.glob("*.py"):
        if path.name != "broker.py":
            assert _names_used(path) & AMQTTS == set(), path.name


def test_our_own_names_are_none_of_amqtts() -> None:
    assert _names_given(FOLDER / "broker.py") & AMQTTS == OVERRIDES
    assert _names_given(FOLDER / "device.py") & AMQTTS == set()


def test_it_is_the_pinned_version() -> None:
    assert version("amqtt") == "0.12.1", "the binding was written for 0.12.1: run every attack before another is pinned"
