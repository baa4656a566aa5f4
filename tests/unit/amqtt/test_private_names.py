"""Which private names of aMQTT the binding uses: only broker.py does, and each is there in the version installed.

Where another version is installed and lacks one, the tests say which, and what to do. That they would is itself tested,
on versions made up for it.
"""

import ast
import asyncio
import inspect
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest
from amqtt.broker import Broker
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session

import ringline_broker.bindings.amqtt as package

FOLDER = Path(next(iter(package.__path__)))
WRITTEN_FOR: Final = "0.12.1"
WHAT_TO_DO: Final = (
    "mend broker.py and the lists in tests/unit/amqtt/test_private_names.py, then run tests/attacks: what fails against"
    " aMQTT as it is shipped is a fault that it has cured, what succeeds against ours is one that is back"
)

BROKER_STATE = ["_servers", "_sessions"]
"""What an aMQTT Broker keeps, and broker.py reads or changes."""

BROKER_METHODS = {
    "_authenticate": ["self", "session", "_"],
    "_topic_filtering": ["self", "session", "topic", "action"],
    "_start_listeners": ["self"],
    "_session_monitor": ["self"],
}
"""What broker.py calls of an aMQTT Broker, or has another version of, with the parameters."""

SESSION_METHODS = {"_init_states": ["self"]}
"""The same of its Session."""

OVERRIDES = {"_start_listeners", "_session_monitor", "_init_states"}
"""Those of them that broker.py has another version of."""


def _state() -> dict[str, set[str]]:
    """What instances of aMQTT's classes keep, by class."""

    async def make() -> dict[str, set[str]]:
        broker = Broker({"listeners": {"default": {"type": "tcp"}}, "plugins": {}})
        handler = BrokerProtocolHandler(broker.plugins_manager)
        return {"Broker": {*vars(broker)}, "Handler": {*vars(handler)}, "Session": {*vars(Session())}}

    return asyncio.run(make())


STATE = _state()


@dataclass(frozen=True)
class Amqtt:
    """As much of a version of aMQTT as broker.py has to do with: the one installed, unless told otherwise."""

    version: str = version("amqtt")
    broker: dict[str, Any] = field(default_factory=lambda: {name: getattr(Broker, name) for name in dir(Broker)})
    session: dict[str, Any] = field(default_factory=lambda: {name: getattr(Session, name) for name in dir(Session)})
    broker_state: frozenset[str] = frozenset(STATE["Broker"])
    source: str = inspect.getsource(Broker) + inspect.getsource(Session)

    def faults(self) -> list[str]:
        """What broker.py counts on and is not so, each with what to do."""
        found = [f"{fault}: {WHAT_TO_DO}" for fault in (*self._gone(), *self._changed(), *self._not_called())]
        if self.version != WRITTEN_FOR:
            named = "what else changed is named beside this" if found else "no private name of it has changed"
            found.append(
                f"aMQTT {self.version} is installed, broker.py was written for {WRITTEN_FOR} ({named}): install that"
                f" again with `make setup`; or, to go over to {self.version}, pin it in pyproject.toml and {WHAT_TO_DO}"
            )
        return found

    def _methods(self) -> list[tuple[str, dict[str, Any], str, list[str]]]:
        return [
            *(("Broker", self.broker, name, wanted) for name, wanted in BROKER_METHODS.items()),
            *(("Session", self.session, name, wanted) for name, wanted in SESSION_METHODS.items()),
        ]

    def _gone(self) -> list[str]:
        gone = [f"Broker.{name}" for name in BROKER_STATE if name not in self.broker_state]
        gone += [f"{owner}.{name}" for owner, has, name, _ in self._methods() if name not in has]
        return [f"aMQTT {self.version} has no {what} any more, which broker.py uses" for what in gone]

    def _changed(self) -> list[str]:
        found = [
            (f"{owner}.{name}", list(inspect.signature(has[name]).parameters), wanted)
            for owner, has, name, wanted in self._methods()
            if name in has
        ]
        return [
            f"aMQTT {self.version} changed {what}: it takes {takes}, broker.py counts on {wanted}"
            for what, takes, wanted in found
            if takes != wanted
        ]

    def _not_called(self) -> list[str]:
        idle = [name for name in sorted(OVERRIDES) if f"self.{name}(" not in self.source]
        return [f"aMQTT {self.version} does not call {name} any more, so broker.py's has no effect" for name in idle]


def test_the_amqtt_installed_is_the_one_that_broker_py_was_written_for() -> None:
    faults = Amqtt().faults()
    assert not faults, "\n".join(faults)


# Other versions, made up: what would be said of them.

KNOWN = Amqtt(version=WRITTEN_FOR)


@pytest.mark.parametrize("name", BROKER_STATE)
def test_a_renamed_attribute_is_named(name: str) -> None:
    renamed = {name.lstrip("_") if one == name else one for one in STATE["Broker"]}
    (fault,) = replace(KNOWN, broker_state=frozenset(renamed)).faults()
    assert fault.startswith(f"aMQTT {WRITTEN_FOR} has no Broker.{name} any more, which broker.py uses: mend broker.py")


def _without(has: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in has.items() if key != name}


@pytest.mark.parametrize("name", [*BROKER_METHODS, *SESSION_METHODS])
def test_a_renamed_method_is_named(name: str) -> None:
    owner = "Broker" if name in BROKER_METHODS else "Session"
    faults = replace(KNOWN, broker=_without(KNOWN.broker, name), session=_without(KNOWN.session, name)).faults()
    assert [fault.split(":")[0] for fault in faults] == [
        f"aMQTT {WRITTEN_FOR} has no {owner}.{name} any more, which broker.py uses"
    ]
    assert all(WHAT_TO_DO in fault for fault in faults)


@pytest.mark.parametrize("name", [*BROKER_METHODS, *SESSION_METHODS])
def test_a_changed_signature_is_named(name: str) -> None:
    def with_one_more(self: object, *, reason: str) -> None: ...

    owner = "Broker" if name in BROKER_METHODS else "Session"
    has = {name: with_one_more}
    faults = replace(KNOWN, **{owner.lower(): getattr(KNOWN, owner.lower()) | has}).faults()
    assert len(faults) == 1
    said = f"aMQTT {WRITTEN_FOR} changed {owner}.{name}: it takes ['self', 'reason'], broker.py counts on ["
    assert faults[0].startswith(said)


@pytest.mark.parametrize("name", sorted(OVERRIDES))
def test_a_method_that_is_called_no_more_is_named(name: str) -> None:
    (fault,) = replace(KNOWN, source=KNOWN.source.replace(f"self.{name}(", "self.something_else(")).faults()
    assert fault.startswith(f"aMQTT {WRITTEN_FOR} does not call {name} any more, so broker.py's has no effect: mend")


def test_another_version_is_said_even_where_no_name_changed() -> None:
    (fault,) = replace(KNOWN, version="0.13.0").faults()
    assert fault.startswith(f"aMQTT 0.13.0 is installed, broker.py was written for {WRITTEN_FOR} (no private name")
    assert "`make setup`" in fault
    assert WHAT_TO_DO in fault


def test_the_pin_and_these_lists_are_of_the_same_version() -> None:
    pyproject = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    assert f'"amqtt=={WRITTEN_FOR}"' in pyproject


# The lists above are all there is.

AMQTTS = {
    name
    for name in {*STATE["Broker"], *STATE["Handler"], *STATE["Session"]}
    | {*dir(Broker), *dir(BrokerProtocolHandler), *dir(Session)}
    if name.startswith("_") and not name.startswith("__")
}
"""aMQTT's private names."""


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


def test_the_lists_above_are_all_that_broker_py_uses() -> None:
    listed = {*BROKER_STATE, *BROKER_METHODS, *SESSION_METHODS}
    used = _names_used(FOLDER / "broker.py") & AMQTTS
    assert used == listed, f"not in the lists of this file: {used - listed}; not used any more: {listed - used}"


def test_no_other_module_uses_any() -> None:
    for path in FOLDER.glob("*.py"):
        if path.name != "broker.py":
            assert _names_used(path) & AMQTTS == set(), path.name


def test_our_own_names_are_none_of_amqtts() -> None:
    assert _names_given(FOLDER / "broker.py") & AMQTTS == OVERRIDES
    assert _names_given(FOLDER / "device.py") & AMQTTS == set()
