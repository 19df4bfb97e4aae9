"""Write what is made from the code: Prometheus' files, figures in docs/.

``--check`` writes nothing and fails where something would change. A figure of a document is
rendered where a comment with its name follows it: ``25<!--SHOWN_SCAN_S-->``.
"""

import json
import re
import sys
from pathlib import Path

from dolphin_realtime.config.services import SERVICES, TRADER, Service, metrics_port, stack
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model import freshness
from dolphin_realtime.model.health import scores as health
from dolphin_realtime.runtime.metrics import SLOW_ORDERS_S

ROOT = Path(__file__).parents[1]
EVERYTHING = Settings(orderbook_ws="ws://127.0.0.1", alerts_file="alerts")
"""A stack with every service that has figures."""


def values() -> dict[str, str]:
    """Return every figure that is rendered, by name."""
    found = {
        name: f"{value:g}"
        for module in (freshness, health)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, float)
    }
    found["SLOW_ORDERS_S"] = f"{SLOW_ORDERS_S:g}"
    found["SLOW_ORDERS_MS"] = f"{SLOW_ORDERS_S * 1000:g}"
    found["MHS_GRACE_S"] = f"{EVERYTHING.mhs_grace_s:g}"
    ports = {name: metrics_port(EVERYTHING, name) for name in stack(EVERYTHING)}
    targets = {name: port for name, port in ports.items() if port is not None}
    found["TARGETS"] = "\n".join(
        f"          - 127.0.0.1:{port} # {name}"
        for name, port in sorted(targets.items(), key=_second)
    )
    found |= {f"PORT_{name.upper().replace('-', '_')}": str(port) for name, port in targets.items()}
    return found


def _second(pair: tuple[str, int]) -> int:
    return pair[1]


def _ports() -> str:
    first = EVERYTHING.metrics_port
    rows = [row for row in SERVICES if row.metrics_port is not None]
    return ", ".join(_port(row, first) for row in sorted(rows, key=lambda r: r.metrics_port or 0))


def _port(row: Service, first: int) -> str:
    port = first + (row.metrics_port or 0)
    return f"the traders from {port} on" if row.name == TRADER else f"{row.name} {port}"


def templates(known: dict[str, str]) -> dict[Path, str]:
    """Return the files of deploy/prometheus/, from those of deploy/templates/."""
    found = {}
    for template in sorted((ROOT / "deploy/templates").iterdir()):
        text = re.sub(r"@([A-Z_]+)@", lambda m: known[m[1]], template.read_text())
        found[ROOT / "deploy/prometheus" / template.name] = text
    return found


def documents(known: dict[str, str]) -> dict[Path, str]:
    """Return the documents with their figures."""
    found = {}
    for path in sorted((ROOT / "docs").glob("*.md")):
        text = re.sub(
            r"[\d.]+<!--([A-Z_]+)-->", lambda m: f"{known[m[1]]}<!--{m[1]}-->", path.read_text()
        )
        text = re.sub(r"<!--PORTS-->.*?<!--end-->", f"<!--PORTS-->{_ports()}<!--end-->", text)
        found[path] = text
    return found


def board() -> dict[Path, str]:
    """Return Grafana's dashboard with health's bounds as colours."""
    path = ROOT / "deploy/grafana/dolphin.json"
    content = json.loads(path.read_text())
    bounds = [None, health.CRITICAL_ABOVE, health.DEGRADED_ABOVE, health.GREEN_ABOVE]
    for panel in content["panels"]:
        if any(target["expr"] == "dolphin_rm_meta" for target in panel.get("targets", [])):
            steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            for step, bound in zip(steps, bounds, strict=True):
                step["value"] = bound
    return {path: json.dumps(content, indent=1, ensure_ascii=False) + "\n"}


def main() -> int:
    """Write what changed; with --check, say what would and return 1."""
    known = values()
    files = {**templates(known), **documents(known), **board()}
    changed = [p for p, text in files.items() if not p.is_file() or p.read_text() != text]
    for path in changed:
        if "--check" in sys.argv:
            sys.stdout.write(f"{path.relative_to(ROOT)} is not as the code says: make render\n")
        else:
            path.write_text(files[path])
            sys.stdout.write(f"{path.relative_to(ROOT)} written\n")
    return int(bool(changed) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
