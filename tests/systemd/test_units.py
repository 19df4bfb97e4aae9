"""Every rendered unit: no unknown key, no missing program, hardly exposed."""

import os
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.health.recovery import OBSERVER
from dolphin_realtime.ops.runner.services import ROOT
from dolphin_realtime.ops.systemd.install import hidden
from dolphin_realtime.ops.systemd.render import (
    MANIFEST,
    UNITS,
    default_place,
    leftovers,
    render,
    table_of,
    write_below,
)
from dolphin_realtime.ops.systemd.unit import Place, file_name

SETTINGS = Settings(
    orderbook_ws="wss://fstream.binance.com",
    instances="BLUE,GREEN",
    alerts_file="/etc/dolphin/credentials/alerts",
    viewer_port=3001,
    postgres="postgresql://dolphin@127.0.0.1:5432/dagster",
    postgres_passfile="/etc/dolphin/credentials/pgpass",
)
EXPOSURE = "20"
"""Tenths: systemd-analyze security's scale of 0 to 10."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("units")
    write_below(root, render(SETTINGS, Place(root=ROOT, instance=ROOT)))
    return root / UNITS.relative_to("/")


SPECS = table_of(SETTINGS)
SERVICES = [s for s in SPECS if s.ready != "exit"]
OTHERS = {"dolphin-alert@.service", "dolphin-firewall.service"}
NAMES = sorted({file_name(s) for s in SERVICES} | OTHERS)


def analyze(tree: Path, *words):
    env = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tree}:"}
    return subprocess.run(
        ["systemd-analyze", *words], env=env, capture_output=True, text=True, check=False
    )


def test_pool_limits_are_set_before_any_dagster_service(tree):
    for name in ("dagster-code", "dagster-webserver", "dagster-daemon"):
        text = (tree / f"dolphin-{name}.service").read_text()
        assert text.index("ExecStartPre=") < text.index("ExecStart=")
        assert "dolphin_dagster.instance.setup" in text


def test_secrets_are_handed_over_and_are_in_no_file(tree):
    alerter = (tree / "dolphin-alerter.service").read_text()
    assert "LoadCredential=alerts:/etc/dolphin/credentials/alerts" in alerter
    for name in ("dagster-code", "dagster-webserver", "dagster-viewer", "dagster-daemon"):
        text = (tree / f"dolphin-{name}.service").read_text()
        assert "LoadCredential=pgpass:/etc/dolphin/credentials/pgpass" in text
        assert f"Environment=PGPASSFILE=%t/dolphin-{name}/pgpass" in text
        assert text.index("/usr/bin/install -m 600 %d/pgpass") < text.index(
            "dolphin_dagster.instance.setup"
        )


def test_postgres_gives_dagster_a_home_of_its_own():
    place = default_place(SETTINGS)
    files = render(SETTINGS, place)
    text = files[place.instance / "dagster.yaml"]
    assert "postgresql+psycopg2://dolphin@127.0.0.1:5432/dagster" in text
    assert f"DAGSTER_HOME={place.instance}" in files[UNITS / "dolphin-dagster-daemon.service"]


def test_what_an_earlier_installation_had_is_known(tmp_path):
    place = Place(root=ROOT, instance=ROOT)
    before = render(SETTINGS, place)
    after = render(msgspec.structs.replace(SETTINGS, instances="BLUE", orderbook_ws=""), place)
    files, units = leftovers(after, before[MANIFEST])
    assert files == [UNITS / "dolphin-orderbook.service"]
    assert units == ["dolphin-orderbook.service", "dolphin-trader@GREEN.service"]
    assert leftovers(after, after[MANIFEST]) == ([], [])


def test_everybody_may_read_what_is_written_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        for path in write_below(
            tmp_path / "root", render(SETTINGS, Place(root=ROOT, instance=ROOT))
        ):
            assert path.stat().st_mode & 0o777 == 0o644
            assert path.parent.stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(before)


def test_what_the_units_cannot_see_is_known():
    assert hidden((Path("/root/x"), Path("/opt/x"), Path("/home/y/z"))) == [
        Path("/root/x"),
        Path("/home/y/z"),
    ]


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
    for name in sorted(set(NAMES) - OTHERS):
        unit, _, service = (tree / name).read_text().partition("[Service]")
        interval_s = int(re.search(r"StartLimitIntervalSec=(\d+)", unit)[1])
        slow = "Type=exec" in service
        assert interval_s == (285 if slow else 60), "three slow starts must fit into it"
        assert "StartLimit" not in service
        for key in ("MemoryMax=", "TasksMax=", "CPUQuota=", "KillMode=mixed"):
            assert key in service, (name, key)
        assert "User=root" not in service
    trader = (tree / "dolphin-trader@.service").read_text()
    for line in ("MemoryMax=2048M", "TasksMax=50", "CPUQuota=200%", "Type=notify"):
        assert line in trader.splitlines()


def test_a_stop_by_an_operator_is_not_undone_by_another_units_start(tree):
    for name in NAMES:
        text = (tree / name).read_text()
        wanted = [x for x in text.splitlines() if x.startswith(("Wants=", "BindsTo=", "Requires="))]
        assert "dolphin-" not in " ".join(wanted), (name, wanted)


def test_the_polkit_rule_names_every_service_but_the_observer(tree):
    rule = (tree.parents[1] / "polkit-1/rules.d/50-dolphin-mhs.rules").read_text()
    for spec in SERVICES:
        may = spec.name != OBSERVER
        assert (f'"dolphin-{spec.name}.service"' in rule) == may, spec.name
    assert '"stop"' not in rule


def test_realtime_services_alone_are_bound_to_the_processors_that_are_given():
    settings = msgspec.structs.replace(SETTINGS, realtime_cpus="2-3")
    files = render(settings, Place(root=ROOT, instance=ROOT))
    bound = {p.name for p, text in files.items() if "CPUAffinity=2-3" in text}
    assert bound == {file_name(s) for s in SERVICES if s.tier == "realtime"}
    assert not any(
        "CPUAffinity" in t for t in render(SETTINGS, Place(root=ROOT, instance=ROOT)).values()
    )
