"""Documents of the project itself, held true."""

import re
import tomllib
from pathlib import Path

import click
import yaml

from dolphin_dagster.definitions import build_definitions
from dolphin_dagster.watch import overdue, runs, sensor
from dolphin_realtime.cli.app import COMMANDS, dolphin
from dolphin_realtime.config.factor_sources import SourceSettings
from dolphin_realtime.config.live import LiveSettings
from dolphin_realtime.config.loading import load
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model import errors
from dolphin_realtime.model.market.paper_faults import PaperFaults
from dolphin_realtime.model.portfolio.costs import CostParams
from dolphin_realtime.model.portfolio.decision import TargetParams
from dolphin_realtime.model.risk.posture import SafetyParams
from dolphin_realtime.model.risk.pre_trade import PreTradeParams
from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.ops.systemd import unit_failed
from dolphin_realtime.replay.service import ReplaySettings
from dolphin_realtime.services.meta_health import notifier as service_telling
from dolphin_realtime.services.meta_health import recovery_runner
from dolphin_realtime.services.safety import notifier as posture_telling
from dolphin_realtime.services.trader import live_alerts

ROOT = Path(__file__).parents[2]
GROUPS = {
    "DOLPHIN_": Settings,
    "DOLPHIN_SIGNAL_": SignalParams,
    "DOLPHIN_TARGET_": TargetParams,
    "DOLPHIN_COST_": CostParams,
    "DOLPHIN_LIMIT_": PreTradeParams,
    "DOLPHIN_PAPER_": PaperFaults,
    "DOLPHIN_SAFETY_LIMIT_": SafetyParams,
    "DOLPHIN_REPLAY_": ReplaySettings,
    "DOLPHIN_SOURCE_": SourceSettings,
    "DOLPHIN_LIVE_": LiveSettings,
}


def test_every_setting_is_documented_and_no_other():
    documented = set(
        re.findall(
            r"^\| `(DOLPHIN_[A-Z0-9_]+)`", (ROOT / "docs/settings.md").read_text(), re.MULTILINE
        )
    )
    existing = {p + n.upper() for p, kind in GROUPS.items() for n in kind.__struct_fields__}
    assert documented == existing


def test_every_check_has_its_heading_in_the_runbook():
    headings = set(re.findall(r"^## (\S+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE))
    everything = load(
        {
            "DOLPHIN_ORDERBOOK_WS": "ws://127.0.0.1",
            "DOLPHIN_SCANNER_WS": "ws://127.0.0.1",
            "DOLPHIN_INSTANCES": "BLUE,GREEN",
            "DOLPHIN_MODE": "live",
        }
    )
    graph = build_definitions(everything).resolve_asset_graph()
    linked = set()
    for key in graph.asset_check_keys:
        (heading,) = re.findall(
            r"docs/runbook\.md#(\S+)$", graph.get_check_spec(key).description or ""
        )
        assert heading.endswith(f"-{key.name}"), key
        linked.add(heading)
    assert linked == headings


def test_alerts_and_their_headings_are_the_same_set():
    found = re.findall(r"^## (.+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    anchors = {f"docs/runbook.md#{heading.lower().replace(' ', '-')}" for heading in found}
    told = {
        *recovery_runner.RUNBOOK.values(),
        *(module.RUNBOOK for module in (overdue, runs, sensor)),
        posture_telling.RUNBOOK,
        service_telling.RUNBOOK,
        unit_failed.RUNBOOK,
        live_alerts.RUNBOOK,
    }
    rules = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())["groups"][0]["rules"]
    ruled = {rule["annotations"]["runbook"] for rule in rules}
    assert ruled <= anchors
    own = {anchor for anchor in anchors if anchor.split("#")[1].startswith(("when-", "why-the-"))}
    assert own == told | {anchor for anchor in ruled if "#when-" in anchor}


def test_the_error_tree_is_drawn_as_it_is():
    drawn = set(re.findall(r"[*x+] (\w+)", errors.__doc__))

    def below(kind):
        return {kind.__name__}.union(*(below(k) for k in kind.__subclasses__()))

    assert drawn == below(errors.DolphinError)


def test_every_command_has_help():
    context = click.Context(dolphin)
    for name in COMMANDS:
        command = dolphin.get_command(context, name)
        first = re.sub(r"\s+", " ", command.help.strip().split("\n\n")[0])
        assert COMMANDS[name].summary == re.split(r"(?<=\.) ", first)[0].rstrip("."), name
        for sub in getattr(command, "commands", {}).values():
            assert sub.help, sub.name


def test_no_lock_names_a_host():
    for path in ROOT.glob("requirements*.lock"):
        assert not re.search(r"https?://", path.read_text()), path.name


def test_the_pins_are_those_of_the_lock():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements.lock").read_text()
    for pin in ("dagster==1.13.27", "nautilus_trader==2.0.0rc7", "hazelcast-python-client==5.7.0"):
        assert pin in project["dependencies"]
        assert re.search(rf"^{pin.replace('_', '[-_]')} ", lock, re.MULTILINE)
    (java,) = project["optional-dependencies"]["java"]
    assert re.search(rf"^{java} ", (ROOT / "requirements-java.lock").read_text(), re.MULTILINE)


INSIDE = {p.name for d in ("dolphin_realtime", "dolphin_dagster") for p in (ROOT / d).iterdir()}
DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def test_every_file_that_a_document_names_is_there():
    """Whole paths, and those that begin at a package of ours."""
    for document in DOCUMENTS:
        named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", document.read_text())
        for path in named:
            places = [ROOT, ROOT / "dolphin_realtime", ROOT / "dolphin_dagster"]
            if path.split("/")[0] in INSIDE or (ROOT / path.split("/")[0]).exists():
                assert any((place / path).exists() for place in places), f"{document.name}: {path}"
