"""The commands on the pages of deploy/ are commands that there are."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.commands import parsed

DEPLOY: Final = Path(__file__).parent.parent.parent / "deploy"
PAGES: Final = [DEPLOY / name / "README.md" for name in ("aws-iot", "compose", "emqx", "hivemq", "systemd", "vernemq")]


def commands(page: Path) -> Iterator[list[str]]:
    """What stands behind `ringline` on the lines of its blocks, and in backticks."""
    text = page.read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    for line in (*lines, *re.findall("`(ringline [^`]* --[^`]*)`", text)):
        words = shlex.split(line, comments=True)
        for before, word, after in zip(["", *words], words, words[1:], strict=False):
            if word == "ringline" and not before.startswith("-"):  # an option's value is a user or a unit
                yield words[words.index(after) :]


def test_pages_have_commands() -> None:
    assert sum(1 for page in PAGES for _ in commands(page)) >= 9


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_the_command_line_takes_what_a_page_says(page: Path) -> None:
    for words in commands(page):
        assert parsed(words), words
