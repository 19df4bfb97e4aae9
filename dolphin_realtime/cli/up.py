"""What `dolphin up` does: the runner, the live view, the demo's first Dagster runs, the summary."""

import asyncio
import os
import signal
import sqlite3
import sys
import threading
import time
from typing import Any, Final

import click
import msgspec
from hazelcast.client import HazelcastClient
from rich.console import Console
from rich.live import Live

from dolphin_realtime.cli.app import MALFORMED, say
from dolphin_realtime.cli.demo import (
    DEMO_DAYS,
    WORLD,
    begin_again,
    demo_settings,
    make_account,
    refuse_mixed_home,
)
from dolphin_realtime.cli.overview import Overview, read_documents
from dolphin_realtime.cli.running import ANSWER_S
from dolphin_realtime.cli.status_view import lines_of, view
from dolphin_realtime.config.live import PREFIX as LIVE
from dolphin_realtime.config.live import LiveSettings
from dolphin_realtime.config.loading import load_group
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.config.trader_parameters import check_shares, load_parameters
from dolphin_realtime.grid import connection
from dolphin_realtime.grid.cluster import cluster_of
from dolphin_realtime.grid.member.jar import ensure_jar
from dolphin_realtime.grid.member.java import find_java
from dolphin_realtime.journal import database
from dolphin_realtime.model.errors import GridError, JournalError
from dolphin_realtime.ops import dagster_api
from dolphin_realtime.ops.runner.runner import Runner
from dolphin_realtime.services.meta_health.sensors.freshness import enabled_sources

REFRESH_S: Final = 1.0
LINE_EVERY_S: Final = 5.0


class Totals(msgspec.Struct, frozen=True):
    """Sums over the journals of all instances."""

    scans: int = 0
    orders: int = 0
    fills: int = 0
    equity: float | None = None


def totals(settings: Settings) -> Totals:
    """Return the counts and the equity over all journals; a missing journal counts as empty."""
    scans = orders = fills = 0
    equities = []
    for instance in settings.instance_names:
        try:
            db = database.open_read_only(settings.journal_dir(instance))
        except JournalError:
            continue
        try:
            counts = db.execute(
                "SELECT (SELECT count(*) FROM equity), (SELECT count(*) FROM orders),"
                " (SELECT count(*) FROM fills)"
            ).fetchone()
            last = db.execute(
                "SELECT equity FROM equity ORDER BY timestamp_us DESC LIMIT 1"
            ).fetchone()
            start = db.execute("SELECT value FROM meta WHERE name = 'start_cash'").fetchone()
        except sqlite3.Error:
            continue
        finally:
            db.close()
        scans, orders, fills = scans + counts[0], orders + counts[1], fills + counts[2]
        equities += [last[0]] if last else [float(start[0])] if start else []
    return Totals(scans, orders, fills, sum(equities) if equities else None)


class Front:
    """The runner together with the live view or summary of `dolphin up`."""

    def __init__(
        self, settings: Settings, runner: Runner, *, is_demo: bool, with_dagster: bool
    ) -> None:
        self.settings, self.runner = settings, runner
        self.is_demo, self.with_dagster = is_demo, with_dagster
        self.before = totals(settings)
        self.began = time.monotonic()
        self._client: HazelcastClient | None = None
        self._live = Live(console=Console(), auto_refresh=False) if Console().is_terminal else None
        self._next_line = 0.0

    def look(self) -> Overview:
        """Return one reading of the stack."""
        overview = Overview(services=self.runner.status(), ui_port=self.settings.ui_port)
        try:
            if self._client is None:
                self._client = connection.connect_blocking(cluster_of(self.settings), "up", 1.0)
            client, instances = self._client, self.settings.instance_names
            connection.within(ANSWER_S, lambda: read_documents(overview, client, instances))
        except (GridError, OSError, RuntimeError, KeyError, TypeError) as e:
            overview.grid_error = str(e)
            self._forget_client()
        return overview

    def _forget_client(self) -> None:
        """Drop a client whose calls do not return; the next look makes a new one."""
        client, self._client = self._client, None
        if client is not None:
            threading.Thread(target=client.shutdown, daemon=True).start()

    async def show(self) -> None:
        """Refresh the view until cancelled."""
        while True:
            overview = await asyncio.to_thread(self.look)
            try:
                self._draw(overview)
            except MALFORMED as e:
                click.echo(
                    f"a document in the grid cannot be shown: {type(e).__name__}: {e}", err=True
                )
            await asyncio.sleep(REFRESH_S)

    def _draw(self, overview: Overview) -> None:
        if self._live is not None:
            if not self._live.is_started:
                self._live.start()
            self._live.update(view(overview, is_in_front=True), refresh=True)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LINE_EVERY_S
            states = ", ".join(
                f"{s.name} {s.state}" for s in overview.services if s.state != "running"
            )
            head = f"[{time.monotonic() - self.began:5.0f} s] {states or 'all services run'}"
            click.echo(" | ".join([head, *(str(t) for t in lines_of(overview))]))

    def close(self) -> None:
        """Stop the view and leave the grid."""
        if self._live is not None and self._live.is_started:
            self._live.stop()
        self._forget_client()

    def _books(self) -> str:
        s = self.settings
        return s.orderbook_simulated or ("order books" if s.orderbook_ws else "no order books")

    def _venue(self) -> str:
        if self.settings.mode == "paper":
            return "paper venue"
        live = load_group(LiveSettings, LIVE)
        simulated = " (SIMULATED)" if live.venue == "loopback" else ""
        return f"{live.instance} live at {live.venue}{simulated}, the others on paper"

    def summary(self, overview: Overview) -> dict[str, Any]:
        """Return what happened since the start."""
        after = totals(self.settings)
        start = self.before.equity
        if start is None:
            start = sum(
                load_parameters(i).costs.start_cash_usd for i in self.settings.instance_names
            )
        state = next((s for s in overview.states.values() if s), None)
        red = dagster_api.red_checks(self.settings.ui_port) if self.with_dagster else []
        scan = overview.scan or {}
        return {
            "scans": after.scans - self.before.scans,
            "orders": after.orders - self.before.orders,
            "fills": after.fills - self.before.fills,
            "net_pnl": (after.equity or start) - start,
            "latency": state.latency_us if state else {"n": 0},
            "health": overview.health.get("status") if overview.health else None,
            "restarts": sum(s.restarts for s in overview.services),
            "red_checks": red,
            "simulated": scan.get("simulated"),
            "source": f"{'replayed prices' if self.is_demo else 'live scans'}, {self._books()}{', simulated factors' if self.is_demo else ''}, {self._venue()}",
        }


def failures(summary: dict[str, Any], world: str = "") -> list[str]:
    """Return why a demo run counts as failed; with a world, red checks and health are allowed."""
    found = []
    if summary["fills"] == 0:
        found.append("nothing was traded")
    if summary["health"] != "GREEN" and not world:
        found.append(f"health is {summary['health']}, not GREEN")
    if summary["red_checks"] and not world:
        found.append(f"checks are red: {', '.join(summary['red_checks'])}")
    if summary["restarts"]:
        found.append(f"{summary['restarts']} processes had to be restarted")
    return found


def _prepare(settings: Settings, *, is_demo: bool) -> Settings:
    """Check everything that can fail before the first start; return the stack's settings."""
    check_shares(settings.instance_names)
    enabled_sources(settings.mhs_sources)
    find_java(settings.java)
    ensure_jar(settings.hazelcast_jar, settings.maven_base)
    if is_demo:
        settings = demo_settings(settings)
    refuse_mixed_home(settings, is_demo=is_demo)
    return settings


async def run_stack(
    settings: Settings, *, is_demo: bool, for_s: float | None, with_dagster: bool, as_json: bool
) -> int:
    """Run a stack in the foreground and return the exit status.

    Raises:
        SettingsError: If a parameter or a source is wrong, or the home is of the other kind.
        MemberError: If no Java is found, or the jar cannot be obtained.
        ServiceError: If a stack of this home runs already, or a port is taken.
    """
    settings = _prepare(settings, is_demo=is_demo)
    runner = Runner(settings, is_demo=is_demo, with_dagster=with_dagster)
    if is_demo:
        begin_again(settings)
        make_account(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, runner.ending.set)
    if with_dagster:
        say(
            f"Dagster UI: http://127.0.0.1:{settings.ui_port}   state: {settings.home}", err=as_json
        )
    front = Front(settings, runner, is_demo=is_demo, with_dagster=with_dagster)
    helpers = [] if as_json else [asyncio.create_task(front.show())]
    running = asyncio.create_task(runner.run())
    ending = asyncio.create_task(runner.ending.wait())
    try:
        await asyncio.wait([running, ending], timeout=for_s, return_when=asyncio.FIRST_COMPLETED)
        return await _finish(front, is_demo=is_demo and for_s is not None, as_json=as_json)
    finally:
        for helper in (*helpers, ending):
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        runner.stopping.set()
        await running
        front.close()


async def _finish(front: Front, *, is_demo: bool, as_json: bool) -> int:
    """Print the summary; return 1 if a demo with --for had a failure, else 0."""
    overview = await asyncio.to_thread(front.look)
    summary = await asyncio.to_thread(front.summary, overview)
    if front._live is not None and front._live.is_started:  # noqa: SLF001
        front._live.stop()  # noqa: SLF001
    if as_json:
        click.echo(msgspec.json.encode(summary).decode())
    else:
        _print_summary(summary)
        for text in lines_of(overview):
            say(f"  {text}")
        for name in summary["red_checks"]:
            say(f"  red: {name}", fg="yellow")
        if is_demo:
            say(f"  its reports: {sys.argv[0]} report {DEMO_DAYS[-1]}, … versus {DEMO_DAYS[-1]}")
    bad = failures(summary, os.environ.get(WORLD, "")) if is_demo else []
    for line in bad:
        say(f"NOT GOOD: {line}", err=True, fg="red")
    return 1 if bad else 0


def _print_summary(summary: dict[str, Any]) -> None:
    latency = summary["latency"]
    speed = (
        f"p50 {latency['p50']:.0f} µs, p99 {latency['p99']:.0f} µs" if latency["n"] else "no orders"
    )
    say("")
    say(f"summary ({summary['source']}; {summary['simulated'] or 'prices as recorded'})")
    say(f"  scans {summary['scans']}, orders {summary['orders']}, fills {summary['fills']}")
    say(f"  net PnL {summary['net_pnl']:+.2f} USDT after fees and spread, open positions marked")
    say(f"  callback to last order returned: {speed} (n = {latency['n']})")
    say(
        f"  health {summary['health']}, restarts {summary['restarts']}, red checks {len(summary['red_checks'])}"
    )
