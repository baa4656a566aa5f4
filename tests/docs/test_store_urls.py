"""What docs/operations.md says of the store's URL is what the code takes, and all that it takes."""

import re
import ssl
from pathlib import Path
from urllib.parse import urlencode

import pytest

from ringline_broker.cli.options import helps
from ringline_broker.cli.worker import WorkerOptions
from ringline_broker.doctor.store import checks_of
from ringline_broker.stores.redis import url as urls
from ringline_broker.stores.redis.url import Address, Login, Options, parse

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
PART = PAGE.split("\n## The store's URL\n")[1].split("\n## ")[0]
ROWS = [
    [cell.strip(" `") for cell in line.strip("|").split("|")] for line in PART.splitlines() if line.startswith("| `")
]
FORMS = [row[0] for row in ROWS if ":" in row[0]]
OPTIONS = {row[0]: row[1:] for row in ROWS if ":" not in row[0]}
WORDS = {"USER": "ann", "PASSWORD": "secret", "PORT": "7000", "DB": "3", "SERVICE": "calls", "HOST": "there"}


def written(form: str) -> str:
    """A form with words in place of what stands for them."""
    return re.sub("|".join(WORDS), lambda word: WORDS[word[0]], form)


@pytest.mark.parametrize("form", [form for form in FORMS if "redis" in form])
def test_a_form_is_taken_with_all_that_may_be_left_out_and_without(form: str) -> None:
    kind = form.partition("://")[0].removeprefix("redis").removeprefix("+")
    full = parse(written(re.sub(r"[][]", "", form)))
    hosts = form.count("HOST")
    assert (full.kind, full.addresses, full.login) == (kind, (Address("there", 7_000),) * hosts, Login("ann", "secret"))
    assert (full.db, full.service) == (3 if "DB" in form else 0, "calls" if "SERVICE" in form else "")
    bare = parse(written(re.sub(r"\[[^]]*\]", "", form)))
    port = 26_379 if kind == "sentinel" else 6_379
    assert (bare.addresses, bare.login, bare.db) == ((Address("there", port),) * hosts, Login(), 0)
    assert f"Without PORT it is {urls._PORTS['']}, of sentinels\n{urls._PORTS['sentinel']}" in PART


def test_every_form_is_there() -> None:
    named = set(re.findall(r"`([a-z+]+:)", PART))
    assert named == {f"{scheme}:" for scheme in urls._SCHEMES} | {"memory:", "sqlite:"}
    for form in ("memory:", "sqlite:PATH"):
        assert form in FORMS
        checks_of(form)  # raises where it is no store's


def test_every_option_is_there_with_what_it_is_where_left_out() -> None:
    assert list(OPTIONS) == ["prefix", *urls._NUMBERS, *urls._TEXTS[1:]]
    numbers = {name: (default, bounds) for name, (default, bounds, _) in OPTIONS.items() if bounds}
    assert numbers == {
        name: (f"{default:,}", f"{least:,}, {most:,}") for name, (default, least, most) in urls._NUMBERS.items()
    }
    assert OPTIONS["prefix"][0] == Options("", ()).prefix


@pytest.mark.parametrize(
    ("said", "checked"), [("", True), ("true", True), ("false", False), ("no", False), ("0", False)]
)
def test_a_certificate_must_be_signed_whatever_its_name_may_be(said: str, checked: bool) -> None:
    query = f"?{urlencode({'ssl_check_hostname': said})}" if said else ""
    tls = parse(f"rediss+cluster://there{query}").tls
    assert tls is not None
    assert (tls.check_hostname, tls.verify_mode) == (checked, ssl.CERT_REQUIRED)
    assert all(f"`{word}`" in OPTIONS["ssl_check_hostname"][2] for word in ("false", "no", "0"))


def test_the_help_of_a_worker_names_every_kind() -> None:
    said = helps(WorkerOptions)["store"]
    for kind in ("redis://", "redis+sentinel://", "redis+cluster://", "rediss", "sqlite:", "memory:", "valkey"):
        assert kind in said
