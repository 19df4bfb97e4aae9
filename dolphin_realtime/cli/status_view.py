"""What `dolphin status` and the live view show of one reading of a stack."""

from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from dolphin_realtime.cli.not_trading import not_trading
from dolphin_realtime.cli.overview import Overview
from dolphin_realtime.cli.posture_view import instances_apart
from dolphin_realtime.grid import wire
from dolphin_realtime.model.documents import LiveState, PnlDocument, StateDocument
from dolphin_realtime.model.instant import span

HEALTH_STYLE: Final = {
    "GREEN": "green",
    "DEGRADED": "yellow",
    "CRITICAL": "red",
    "DEAD": "bold red",
}


def as_json(overview: Overview) -> dict[str, Any]:
    """Return the stable keys of `dolphin status --json`."""
    state = next((s for s in overview.states.values() if s), None)
    reason = not_trading(overview)
    scan = None
    if overview.scan is not None:
        scan = {"number": overview.scan.get("scan_number"), "epoch": overview.scan.get("epoch")}
        scan["age_s"] = overview.scan_age_s
        scan["simulated"] = overview.scan.get("simulated")
    return {
        "services": [{k: getattr(s, k) for k in (
            "name", "state", "pid", "since", "restarts", "rss_mb", "detail")} for s in overview.services],
        "scan": scan,
        "strangers_kept_out": overview.are_strangers_kept_out,
        "posture": overview.safety.get("posture") if overview.safety else None,
        "postures": {
            name: one["posture"]
            for name, one in ((overview.safety or {}).get("instances") or {}).items()
        },
        "health": overview.health.get("status") if overview.health else None,
        "equity": state.equity if state else None,
        "positions": state.positions if state else [],
        "unpriced": {i: s.unpriced for i, s in overview.states.items() if s},
        "untradable": {i: s.untradable for i, s in overview.states.items() if s},
        "not_trading_because": reason.text if reason else None,
        "not_trading_since": reason.since if reason else None,
    }  # fmt: skip


def _services_table(overview: Overview) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    for column in ("service", "state", "pid", "for", "restarts", "MB"):
        table.add_column(column, no_wrap=True)
    table.add_column("detail", no_wrap=True, overflow="ellipsis", ratio=1)
    now = datetime.now(UTC)
    for s in overview.services:
        age = wire.age_s(s.since, now) or 0.0
        quiet = ("starting", "stopped", "waiting")
        style = "green" if s.state == "running" else "yellow" if s.state in quiet else "red"
        detail = s.detail or ("" if s.is_wanted else f"stopped by command: dolphin start {s.name}")
        state, numbers = Text(s.state, style=style), (str(s.restarts), str(s.rss_mb or "-"))
        table.add_row(s.name, state, str(s.pid or "-"), span(age), *numbers, detail)
    return table


def lines_of(overview: Overview) -> list[Text]:
    """Return the facts below the services, a line each."""
    lines = []
    scan, health, safety = overview.scan, overview.health, overview.safety
    if scan is not None:
        text = f"scan      {scan['scan_number']} of epoch {scan['epoch']}, market time {scan['timestamp']}, "
        lines.append(
            Text(text + f"{len(scan['assets'])} assets, {overview.scan_age_s or 0.0:.1f} s old")
        )
        note = scan.get("simulated")
        if note:
            lines.append(Text(f"SIMULATED {note}", style="magenta"))
    if health is not None:
        word = str(health["status"])
        lines.append(
            Text(f"health    {word} {health['rm_meta']:.3f}", style=HEALTH_STYLE.get(word, ""))
        )
    if safety is not None:
        reasons = "; ".join(safety["reasons"])
        apart = instances_apart(safety)
        each = ", ".join(f"{name} {one['posture']}" for name, one in apart.items())
        posture = each or f"{safety['posture']} since {safety['since'][:19]}"
        lines.append(Text(f"posture   {posture} {reasons}".rstrip()))
    for instance, state in overview.states.items():
        lines += _instance_lines(instance, state, overview.pnl.get(instance))
    if overview.are_strangers_kept_out is False:
        lines.append(
            Text("every local user is trusted: no firewall (docs/security.md)", style="yellow")
        )
    if overview.maintenance:
        lines.append(Text(f"nothing is repaired: {overview.maintenance}", style="yellow"))
    reason = not_trading(overview)
    since = f", since {reason.since[:19]} UTC" if reason and reason.since else ""
    lines.append(
        Text(f"not trading because {reason.text}{since}", style="yellow")
        if reason
        else Text("trading", style="green")
    )
    return lines


def _instance_lines(
    instance: str, state: StateDocument | None, pnl: PnlDocument | None
) -> list[Text]:
    if state is None:
        return [Text(f"{instance:9} no state published")]
    latency = state.latency_us
    speed = (
        f", callback to last order p50 {latency['p50']:.0f} µs p99 {latency['p99']:.0f} µs"
        if latency.get("n")
        else ""
    )
    head = f"{instance:9} {state.mode}, equity {state.equity:,.2f} USDT, {len(state.positions)} positions, "
    lines = [
        Text(f"{head}{state.in_flight} orders in flight, {state.fills} fills since start{speed}")
    ]
    if state.live is not None:
        lines += _venue_lines(state.live)
    if pnl is not None:
        money = (
            f"realised {pnl.realised:,.2f}, unrealised {pnl.unrealised:,.2f}, fees {pnl.fees:,.2f}"
        )
        lines.append(Text(f"          day {state.since}: {money}, {pnl.trades} fills"))
    reasons = ", ".join(f"{k} {v}" for k, v in sorted(state.reasons.items(), key=lambda kv: -kv[1]))
    lines.append(Text(f"          decisions of the last scan: {reasons or 'none yet'}"))
    lines += [Text(text, style="yellow") for text in _price_lines(state)]
    missing = state.last_signal.missing if state.last_signal else {}
    if missing:
        gates = ", ".join(f"{gate} of {n}" for gate, n in sorted(missing.items()))
        lines.append(Text(f"          gates open for lack of input: {gates} (dolphin factors)"))
    return lines


def _venue_lines(live: LiveState) -> list[Text]:
    """Return what a live trader knows of its venue, and what that calls for."""
    told = f"          at {live.venue}, account …{live.account}, gross up to {live.max_gross_usd:,.0f} USDT"
    if live.unknown:
        told += f", {live.unknown} orders unknown"
    lines = [Text(told + (f", stream: {live.stream}" if live.stream else ", stream whole"))]
    if live.simulated:
        lines.append(Text(f"          SIMULATED {live.simulated}", style="magenta"))
    return lines + [
        Text(f"          {f.code} ({f.posture or 'opens nothing'}): {f.why}", style="red")
        for f in live.findings
    ]


def _price_lines(state: StateDocument) -> list[str]:
    """Return warnings about prices: held assets without a sound one, assets not tradable now."""
    lines = [
        f"          held without a sound price: {one.asset} {one.reason}, last {one.price or 0.0:g} "
        f"{span(one.age_s)} ago"
        + (f", {one.waits_at:g} waits to be believed" if one.waits_at else "")
        + " (dolphin position)"
        for one in state.unpriced
    ]
    out = state.untradable
    if out.names:
        reasons = ", ".join(f"{why} {n}" for why, n in out.reasons.items())
        lines.append(f"          {out.names} of {out.of} names cannot be opened now: {reasons}")
    return lines


def view(overview: Overview, *, is_in_front: bool) -> Group:
    """Return everything as one terminal view; in the foreground it mentions Ctrl-C."""
    ending = "   Ctrl-C stops everything" if is_in_front else ""
    ui = Text(f"Dagster UI http://127.0.0.1:{overview.ui_port}{ending}")
    return Group(*lines_of(overview), ui, Text(""), _services_table(overview))


def render(overview: Overview) -> None:
    """Print an overview; if the output is not a terminal, 200 columns wide."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(view(overview, is_in_front=False))
