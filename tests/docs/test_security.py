"""docs/security.md: every promise names a test that is there, every command is used rightly, each default is so."""

import ast
import re
import shlex
from pathlib import Path

import pytest

from ringline_broker.settings import ConnectionLimits, Settings
from tests.docs.test_guarantees import functions
from tests.docs.test_readme import parse

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
COMMANDS = re.findall(r"^ringline .*$", PAGE, re.MULTILINE) + re.findall(r"\| `(ringline [^`]*)`", PAGE)
DEFAULTS = re.findall(r"^\| [^|]+ \| ([^|]+) \| ((?:`\w+` ?)+)\|$", PAGE, re.MULTILINE)
_UNITS = {"KiB": 1_024, "MiB": 1_048_576}


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_a_named_test_exists(file: str, name: str) -> None:
    assert name in functions(ROOT / file)


def test_every_promise_names_a_test() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", PAGE.split("## Limits")[0], re.MULTILINE)
    promises = [row for row in rows if not row[0].startswith(("promised", "---", "what"))]
    assert len(promises) > 12
    assert all("tests/" in shown_by for _, shown_by in promises), promises


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_used_rightly(line: str) -> None:
    parse(shlex.split(line)[1:])


def test_the_program_is_python() -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    compile(ast.parse(program), "security.md", "exec")


def _first_numbers(text: str) -> list[int]:
    found = re.findall(r"(\d[\d,]*)(?: (KiB|MiB))?", text)
    return [int(number.replace(",", "")) * _UNITS.get(unit, 1) for number, unit in found]


@pytest.mark.parametrize(("default", "names"), DEFAULTS)
def test_defaults_are_as_they_are(default: str, names: str) -> None:
    kept = Settings()
    limits = ConnectionLimits()
    real = [getattr(kept, name, None) or getattr(limits, name) for name in re.findall(r"\w+", names)]
    assert _first_numbers(default)[: len(real)] == real


def test_every_limit_on_connections_is_in_the_table() -> None:
    listed = {name for _, names in DEFAULTS for name in re.findall(r"\w+", names)}
    assert set(ConnectionLimits.__slots__) <= listed
