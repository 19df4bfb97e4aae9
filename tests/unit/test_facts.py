"""Each fact is spelt once: what a test can see of a second spelling fails here."""

import ast
import re
from pathlib import Path

import pytest

from dolphin_dagster.realtime.assets import make_assets
from dolphin_dagster.realtime.table import make_rules
from dolphin_realtime.config import services as service_table
from dolphin_realtime.config.services import SERVICES
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model import freshness
from dolphin_realtime.model.health import scores

ROOT = Path(__file__).parents[2]
PRODUCT = sorted(p for name in ("dolphin_realtime", "dolphin_dagster") for p in (ROOT / name).rglob("*.py"))  # fmt: skip
NAMES = {service.name for service in SERVICES}


def literals(path, kinds):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]


def strings(node):
    values = node.keys if isinstance(node, ast.Dict) else node.elts
    return {v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)}


def test_there_is_one_list_of_services():
    """A collection with two of their names is a second list; so is a trader's name put together."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in PRODUCT
        for node in literals(path, (ast.Tuple, ast.List, ast.Set, ast.Dict))
        if len(strings(node) & NAMES) > 1
    ]
    assert found == []
    for path in PRODUCT:
        for node in literals(path, ast.JoinedStr):
            starts = isinstance(node.values[0], ast.Constant) and node.values[0].value
            assert starts != "trader@", f"{path}:{node.lineno}: service_table.trader_of"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_service_is_in_the_documents_table(name):
    table = (ROOT / "docs/architecture.md").read_text().split("## Layers")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    words = {word for row in rows for word in re.findall(r"[\w@-]+", row)}
    named = {w.split("@")[0] for w in words} | {f"dagster{w}" for w in words if w[0] == "-"}
    assert name in named


def test_files_are_written_in_one_place():
    """By rename, or line by line: files.py has both."""
    for path in PRODUCT:
        if path.name == "files.py":
            continue
        text = path.read_text()
        for word in ("os.write(", "O_APPEND", '.part"', "os.rename(", "os.replace("):
            assert word not in text, f"{path}: {word} is files.py's"


MAPS = re.compile(r"DOLPHIN_(FEATURES|SAFETY|META_HEALTH|HEARTBEAT)|DOLPHIN_(STATE|PNL)_[A-Z*]*")


def test_map_names_are_spelt_in_one_file():
    places = {
        path.name
        for path in PRODUCT
        for node in literals(path, ast.Constant)
        if isinstance(node.value, str) and MAPS.fullmatch(node.value)
    }
    assert places == {"maps.py"}


@pytest.mark.parametrize("settings", [{}, {"instances": "GREEN"}, {"instances": "BLUE,GREEN"}])
def test_every_list_of_services_follows_the_settings(settings):
    own = Settings(**settings, orderbook_ws="ws://x", alerts_file="/x")
    traders = {f"trader@{i}" for i in own.instance_names}
    names = set(service_table.stack(own, is_demo=True, with_dagster=True))
    assert {name for name in names if "@" in name} == traders
    assert traders <= set(service_table.watched(own)) & set(service_table.critical(own))
    assert {service_table.shown(own)[name] for name in traders} == {
        f"trader_{i}" for i in own.instance_names
    }
    ports = [service_table.metrics_port(own, name) for name in names]
    found = [port for port in ports if port is not None]
    assert len(set(found)) == len(found)
    keys = {rule.asset for rule in make_rules(own)}
    assert set(service_table.shown(own).values()) <= keys
    assert keys <= {spec.key.to_user_string() for spec in make_assets(own)}


def names_in(path):
    """Return the names and texts that a file's code has."""
    tree = ast.parse(path.read_text())
    constants = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {
        c for c in constants if isinstance(c, str)
    }


@pytest.mark.parametrize("service", ["ORDERBOOK", "ALERTER"])
def test_a_service_is_known_by_three_files_beside_its_folder(service):
    """These two have no rule of their own elsewhere: what they touch a new one touches."""
    own = f"services/{service.lower()}/"
    known = {p.name for p in PRODUCT if own not in str(p) and service in names_in(p)}
    assert len(known) <= 3, known


BOUNDS = {
    name
    for module in (freshness, scores)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, float)
}


def test_a_bound_is_defined_once():
    """A name of a bound is given a value in one file; other files and documents take it from there."""
    given = [
        (node.target.id, path.name)
        for path in PRODUCT
        for node in literals(path, ast.AnnAssign)
        if isinstance(node.target, ast.Name) and node.target.id in BOUNDS
    ]
    assert sorted(name for name, _ in given) == sorted(BOUNDS)
    assert {file for _, file in given} == {"freshness.py", "scores.py"}


def test_every_document_of_the_grid_is_a_struct_spelt_once():
    """Map names are maps.py's, shapes documents.py's and the model's: a new one is in two files."""
    structs = [
        node.name
        for path in PRODUCT
        for node in literals(path, ast.ClassDef)
        if node.name.endswith("Document") and "services" not in path.parts
    ]
    assert len(structs) == len(set(structs))
    assert {"StateDocument", "PnlDocument", "SafetyDocument", "HealthDocument", "FactorsDocument",
            "CalendarDocument", "ScanDocument"} <= set(structs)  # fmt: skip
