"""The configuration for Prometheus: it is YAML, and speaks of metrics and labels that there are."""

import re
from typing import Any

import pytest
import yaml

from ringline_broker.monitoring.families import LOST
from ringline_broker.service.timing import TIMED
from tests.unit.monitoring.documented import ROOT, documented

FOLDER = ROOT / "deploy/prometheus"
_OF_PROMETHEUS = {"up", "process_open_fds", "process_max_fds"}
WORKERS = 'ringline_ready{role="worker"}'
_LABELS = {"instance", "job", "role", "operation", "reason", "result", "error", "le"}


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def rules() -> list[dict[str, Any]]:
    return [rule for group in read("ringline-alerts.yml")["groups"] for rule in group["rules"]]


def metrics_of(expr: str) -> set[str]:
    """The names that stand before a selector or a comparison, those of a histogram's parts as the histogram's."""
    found = set(re.findall(r"\b((?:ringline|process)_\w+|up)\b", expr))
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in found}


def test_the_scrape_configuration_finds_the_rules_and_every_process() -> None:
    config = read("prometheus.yml")
    assert all((FOLDER / file).is_file() for file in config["rule_files"])
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "ringline"
    assert {part["labels"]["role"] for part in job["static_configs"]} == {"server", "worker"}
    targets = [target for part in job["static_configs"] for target in part["targets"]]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+", target) for target in targets)


def test_every_rule_says_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules()) > 10
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["labels"]["severity"] in ("page", "warn")
        assert re.fullmatch(r"\d+[sm]", rule.get("for", "1m"))


@pytest.mark.parametrize(
    ("ready", "fires"), [([], True), ([0, 0], True), ([0, 1], False), ([1], False)], ids=["none", "0 0", "0 1", "1"]
)
def test_nobody_is_ready_where_nobody_is_left(ready: list[int], fires: bool) -> None:
    """As Prometheus evaluates it: of no series `sum` says nothing, and only `absent` does."""
    (expr,) = (rule["expr"] for rule in rules() if rule["alert"] == "RinglineNobodyReady")
    said = {f"sum({WORKERS}) == 0": bool(ready) and sum(ready) == 0, f"absent({WORKERS})": not ready}
    assert any(said[part] for part in expr.split(" or ")) is fires


def test_every_rule_is_about_metrics_and_labels_that_there_are() -> None:
    for rule in rules():
        expr = rule["expr"]
        names = metrics_of(expr)
        assert names, rule
        assert names <= {*documented(), *_OF_PROMETHEUS}, rule["alert"]
        assert expr.count("(") == expr.count(")")
        matched = re.findall(r"(\w+)(?:=|!=|=~)\"([^\"]*)\"", expr)
        by = [label for labels in re.findall(r"by \(([^)]*)\)", expr) for label in labels.split(", ")]
        told = re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))
        assert {*(label for label, _ in matched), *by, *told} <= _LABELS, rule["alert"]
        assert all(value in TIMED for label, value in matched if label == "operation")
        assert all(value in LOST for label, value in matched if label == "reason")
        if "sum by" in expr:
            assert set(told) <= set(by), f"{rule['alert']} tells a label that it has summed away"
