"""The cures that `python -m tests.cures` takes out are where it looks for them; it runs too long for every test run."""

import pytest

from tests.cures import ROOT, Cure, read_cures


@pytest.mark.parametrize("cure", read_cures(), ids=lambda cure: cure.number)
def test_a_cure_is_in_its_file_just_once(cure: Cure) -> None:
    assert (ROOT / cure.file).read_text().count(cure.words) == 1
    assert cure.words != cure.instead
