"""The dashboard and the alerts in `deploy/` ask for metrics and labels that the service has."""

import inspect
import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from motet import errors
from motet.operations.metrics import Metrics
from motet.operations.store_metrics import StoreMetrics
from motet.operations.swap_metrics import SwapMetrics
from motet.types import READY, ExpertCard, Fleet, Member

DEPLOY = Path(__file__).parents[2] / "deploy"
FLEET = Fleet([Member(ExpertCard(id="a", engine="fake"), READY)])
_WORDS = {"le"}


def dashboard():
    return json.loads((DEPLOY / "grafana/motet.json").read_text())


def rules():
    (group,) = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())["groups"]
    return group["rules"]


def expressions():
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    for panel in panels:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for rule in rules():
        yield rule["alert"], rule["expr"]


def metrics():
    """Return the labels of everything that Prometheus finds, by name."""
    found = Metrics()
    kinds = [found, StoreMetrics(found.registry), SwapMetrics(found.registry)]
    labels = {}
    for kind in kinds:
        for metric in vars(kind).values():
            if hasattr(metric, "_labelnames"):
                for family in metric.describe():
                    ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
                    for end in ends.get(family.type, [""]):
                        labels[family.name + end] = set(metric._labelnames)
    for family in text_string_to_metric_families(found.render(FLEET).decode()):
        for sample in family.samples:
            labels.setdefault(sample.name, set(sample.labels))
    return labels


@pytest.mark.parametrize(("where", "expression"), [*expressions()])
def test_every_expression_asks_for_what_there_is(where, expression):
    known = metrics()
    names = re.findall(r"\bmotet_\w+", expression)
    assert names and set(names) <= set(known)
    for name, selector in re.findall(r"\b(motet_\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)) <= known[name]
    for group in re.findall(r"\bby \(([^)]*)\)", expression):
        labels = {label.strip() for label in group.split(",")} - _WORDS
        assert all(labels <= known[name] for name in names)
    assert expression.count("(") == expression.count(")")


def test_statuses_of_alerts_are_errors_of_ours():
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    known = {kind.code or str(kind.status) for kind in kinds if issubclass(kind, errors.MotetError)}
    (listed,) = re.findall(r'status=~"([^"]*)"', " ".join(rule["expr"] for rule in rules()))
    assert set(listed.split("|")) <= known


def test_everything_that_is_measured_is_shown_or_watched():
    def bases(names):
        return {re.sub("_(total|created|bucket|sum|count)$", "", name) for name in names}

    asked = re.findall(r"\bmotet_\w+", " ".join(text for _, text in expressions()))
    assert bases(metrics()) == bases(asked)


def test_an_alert_says_what_is_wrong_and_where_to_look():
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_panels_do_not_overlap():
    taken = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & cells and at["x"] + at["w"] <= 24
        taken |= cells
