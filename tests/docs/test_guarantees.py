"""Every promise in docs/guarantees.md names a test, and every test it names exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/guarantees.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
PROMISES = re.findall(r"^(\d+)\. \*\*.*?(?=^\d+\. \*\*|^###|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)


def functions(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_exists(file: str, name: str) -> None:
    assert name in functions(ROOT / file)


def test_every_promise_names_a_test() -> None:
    promises = re.split(r"^\d+\. ", PAGE.split("## Promises")[1], flags=re.MULTILINE)[1:]
    assert len(promises) == len(PROMISES) >= 20
    nameless = [promise[:60] for promise in promises if "tests/" not in promise]
    assert not nameless
