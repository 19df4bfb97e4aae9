"""Every rendered unit: no unknown key, no missing program, hardly exposed."""

import os
import subprocess
from pathlib import Path

import pytest

from dolphin_realtime.model.recovery import OBSERVER
from dolphin_realtime.runner.services import ROOT
from dolphin_realtime.settings import Settings
from dolphin_realtime.systemd.render import UNITS, render, table_of, write_below
from dolphin_realtime.systemd.unit import Place, file_name

SETTINGS = Settings(orderbook_ws="wss://fstream.binance.com", instances="BLUE,GREEN")
EXPOSURE = "20"
"""Tenths: systemd-analyze security's scale of 0 to 10."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("units")
    write_below(root, render(SETTINGS, Place(root=ROOT)))
    return root / UNITS.relative_to("/")


SPECS = table_of(SETTINGS)
NAMES = sorted({file_name(s) for s in SPECS} | {"dolphin-alert@.service"})


def analyze(tree: Path, *words):
    env = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tree}:"}
    return subprocess.run(
        ["systemd-analyze", *words], env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_verifies_and_is_hardly_exposed(tree, name):
    instance = name.replace("@.", "@BLUE.")
    done = analyze(tree, "verify", "--man=no", "--recursive-errors=one", str(tree / instance))
    assert (done.returncode, done.stderr) == (0, "")
    done = analyze(tree, "security", "--offline=true", f"--threshold={EXPOSURE}", str(tree / name))
    assert done.returncode == 0, done.stdout


def test_an_unknown_key_is_found(tree, tmp_path):
    broken = tmp_path / "dolphin-broken.service"
    good = (tree / "dolphin-bridge.service").read_text()
    broken.write_text(good.replace("TasksMax", "TaskMax"))
    done = analyze(tmp_path, "verify", "--man=no", "--recursive-errors=one", str(broken))
    assert "TaskMax" in done.stderr


def test_every_service_has_its_bounds_and_start_limit_where_systemd_reads_it(tree):
    for name in NAMES[1:]:
        unit, _, service = (tree / name).read_text().partition("[Service]")
        assert "StartLimitIntervalSec=60" in unit
        assert "StartLimit" not in service
        for key in ("MemoryHigh=", "MemoryMax=", "TasksMax=", "CPUQuota=", "KillMode=mixed"):
            assert key in service, (name, key)
        assert "User=root" not in service
    trader = (tree / "dolphin-trader@.service").read_text()
    for line in ("MemoryMax=2048M", "TasksMax=50", "CPUQuota=200%", "Type=notify"):
        assert line in trader.splitlines()


def test_a_stop_by_an_operator_is_not_undone_by_another_units_start(tree):
    for name in NAMES:
        text = (tree / name).read_text()
        wanted = [x for x in text.splitlines() if x.startswith(("Wants=", "BindsTo=", "Requires="))]
        named = " ".join(wanted).replace("dolphin-dagster-setup.service", "")
        assert "dolphin-" not in named, (name, wanted)


def test_the_polkit_rule_names_every_service_but_the_observer(tree):
    rule = (tree.parents[1] / "polkit-1/rules.d/50-dolphin-mhs.rules").read_text()
    for spec in SPECS:
        may = spec.name != OBSERVER and spec.ready != "exit"
        assert (f'"dolphin-{spec.name}.service"' in rule) == may, spec.name
    assert '"stop"' not in rule
