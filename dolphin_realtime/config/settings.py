"""Settings: DOLPHIN_* environment variables as typed, immutable values, read once at start.

Every setting and its default belong here and in docs/settings.md (a test compares them). A
malformed or misspelt variable stops the process. Secrets are never settings: they are read from
files.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]

PREFIX = "DOLPHIN_"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a person may set, as ``DOLPHIN_<NAME>``.

    Attributes:
        home: Folder of everything that a run writes.
        scan_dir: Where NG6 writes its scans; empty: home/scans.
        cluster_name: Hazelcast cluster; it is also the cluster's only secret, in plain text.
        hazelcast_port: Loopback port of the member.
        grid_members: Addresses of all members, host:port, separated by commas; empty: one, here.
        grid_bind: Address that this machine's member listens on.
        grid_members_min: Traders that see fewer members open nothing; 0: more than half of them.
        ui_port: Loopback port of the Dagster UI.
        code_port: Loopback port of the Dagster code server.
        hazelcast_jar: A member jar to use instead of fetching one.
        maven_base: Base address of a Maven repository to fetch the jar from.
        assets_max: Most assets a scan is expected to have; the member's heap follows from it.
        hazelcast_heap_mb: The member's largest heap in MiB; 0: by assets_max.
        java: A Java 17, 21 or 25 to use instead of the one found.
        instances: Trader instances to run, separated by commas.
        market_clock: wall, or replay: market time is the newest scan's.
        scan_idle_poll_s: How often an idle bridge looks for scans.
        scan_dense_poll_s: How often it looks around the next expected scan.
        reader_deadline_s: How long a read of the scan folder may take.
        stale_cadence_min_s: A scan older than three cadences opens nothing; this is the shortest
            cadence assumed.
        warm_up_days: Days of archive the trader reads at its first start.
        safety_cool_down_s: Calm needed before the posture rises one step.
        archive_first_day: First partition of the scan archive, YYYY-MM-DD; empty: the first day
            that is archived or was bridged, else today.
        archive_last_day: Last partition; empty: yesterday.
        raw_scan_days: Days after which raw scans and book records are deleted, once archived; 0: never.
        report_days: Days after which pages and tables of reports are deleted; 0: never.
        event_days: Days that Dagster's storage keeps sensors' events and runs of factors.
        postgres: Database of Dagster's storage, postgresql://user@host:port/name without a
            password; empty: SQLite under the home.
        postgres_passfile: File in libpq's .pgpass form with its password; empty: none is needed.
        viewer_port: Loopback port of a second, read-only Dagster UI; 0: none.
        mhs_sources: Data sources that meta health expects, separated by commas; optionally with
            seconds until stale and until dead: extf=600/1200.
        mhs_turn_s: Time between two turns of meta health.
        mhs_grace_s: A service younger than this is not restarted: it may still be starting.
        mhs_unwatched_s: Alert if Dagster's daemon runs but its sensor has not looked for this long.
        mhs_recovery: on; dry-run: only record what would be done; off: only monitor.
        manager: Manager of the services: auto, local (the runner of dolphin up) or systemd.
        start_limit_burst: Starts within start_limit_interval_s after which a service stays down.
        start_limit_interval_s: See start_limit_burst.
        restart_pause_s: Pause before a service that died is started again.
        firewall: on: under systemd, and where root runs the local runner and nft is there, only the
            stack's users and the members of two groups reach its ports; off: every local user does.
        realtime_cpus: Processors that the units of the realtime services are bound to, e.g. 2-3 or
            2,3; empty: any. For hosts with processors to spare.
        rehearsal: on: traders decide the last scan again on a copy, shortly before the next is due,
            so that it finds their code in the caches; for hosts with processors to spare.
        watchdog_s: A service silent for this long is killed and started again.
        grid_timeout_s: How long a service waits for the grid at its start.
        alerts_file: File of Apprise URLs, one a line, that alerts are sent to; empty: none is sent.
        alerts_repeat_s: A red alert that nobody acknowledged is sent again after this time; 0: never.
        metrics_port: First loopback port of the services' Prometheus metrics; 0: no metrics.
        orderbook_ws: Base address of the venue's websocket; empty: no order-book service.
        orderbook_rest: Base address of the venue's REST interface.
        orderbook_assets: Assets whose books are kept, separated by commas.
        orderbook_stream_ms: Time between the venue's updates: 100, 250 or 500.
        orderbook_publish_s: Least time between two documents of books.
        orderbook_record_s: Market time between two records of the books on disk.
        orderbook_stale_s: A book without an update for this long is not used.
        orderbook_simulated: Note that says how the books are simulated; empty: they are real.
        scanner_ws: Base address of a venue's websocket whose mark prices are scanned in place of NG6;
            empty: no scanner.
        scanner_rest: Base address of its REST interface.
        scanner_assets: Assets to scan, separated by commas; empty: those with the most turnover.
        scanner_top: How many of those.
        scanner_cadence_s: Time between scans.
        scanner_window: Minutes of returns in the correlation matrix.
        scanner_simulated: Note that says how the prices are simulated; empty: they are real.
        sweep_grid: Sweep file of the Dagster asset `parameter_sweep`; empty: none.
        sweep_workers: Local processes of a sweep; 0: one less than there are processors.
        sweep_trial_mb: Memory in MB that a trial of a sweep is given room for.
        ray_address: Ray cluster that sweeps run on, e.g. 127.0.0.1:6379; empty: local processes.
        trace: Folder that latency stamps are written to at exit; empty: no stamps are kept.
        mode: paper; live: one instance trades a real account (DOLPHIN_LIVE_*), the others on paper.
    """

    home: Path = Path("var")
    scan_dir: str = ""
    cluster_name: str = "dolphin"
    hazelcast_port: Port = 5701
    grid_members: str = ""
    grid_bind: str = "127.0.0.1"
    grid_members_min: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    ui_port: Port = 3000
    code_port: Port = 4266
    hazelcast_jar: str = ""
    maven_base: str = ""
    assets_max: Annotated[int, msgspec.Meta(ge=1, le=20_000)] = 500
    hazelcast_heap_mb: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    java: str = ""
    instances: str = "BLUE"
    market_clock: Literal["wall", "replay"] = "wall"
    scan_idle_poll_s: Seconds = 5.0
    scan_dense_poll_s: Seconds = 0.002
    reader_deadline_s: Seconds = 5.0
    stale_cadence_min_s: Seconds = 1.0
    warm_up_days: Annotated[int, msgspec.Meta(ge=0)] = 3
    safety_cool_down_s: Annotated[float, msgspec.Meta(ge=0)] = 300.0
    archive_first_day: str = ""
    archive_last_day: str = ""
    raw_scan_days: Annotated[int, msgspec.Meta(ge=0)] = 30
    event_days: Annotated[int, msgspec.Meta(ge=1)] = 3
    report_days: Annotated[int, msgspec.Meta(ge=0, le=36500)] = 400
    postgres: str = ""
    postgres_passfile: str = ""
    viewer_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    mhs_sources: str = "scan,extf,esof,safety,state"
    mhs_turn_s: Seconds = 5.0
    mhs_grace_s: Seconds = 45.0
    mhs_unwatched_s: Seconds = 120.0
    mhs_recovery: Literal["on", "dry-run", "off"] = "on"
    manager: Literal["auto", "local", "systemd"] = "auto"
    start_limit_burst: Annotated[int, msgspec.Meta(ge=1)] = 3
    start_limit_interval_s: Seconds = 60.0
    restart_pause_s: Seconds = 1.0
    firewall: Literal["on", "off"] = "on"
    realtime_cpus: Annotated[
        str, msgspec.Meta(pattern=r"^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?$")
    ] = ""
    rehearsal: Literal["on", "off"] = "off"
    watchdog_s: Seconds = 30.0
    grid_timeout_s: Seconds = 20.0
    alerts_file: str = ""
    alerts_repeat_s: Annotated[float, msgspec.Meta(ge=0)] = 14_400.0
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65000)] = 9400
    orderbook_ws: str = ""
    orderbook_rest: str = ""
    orderbook_assets: str = ""
    orderbook_stream_ms: Literal[100, 250, 500] = 100
    orderbook_publish_s: Annotated[float, msgspec.Meta(ge=0.25)] = 0.25
    orderbook_record_s: Seconds = 5.0
    orderbook_stale_s: Seconds = 5.0
    orderbook_simulated: str = ""
    scanner_ws: str = ""
    scanner_rest: str = ""
    scanner_assets: str = ""
    scanner_top: Annotated[int, msgspec.Meta(ge=3, le=600)] = 50
    scanner_cadence_s: Annotated[float, msgspec.Meta(ge=0.2)] = 5.0
    scanner_window: Annotated[int, msgspec.Meta(ge=32, le=1440)] = 240
    scanner_simulated: str = ""
    sweep_grid: str = ""
    sweep_workers: Annotated[int, msgspec.Meta(ge=0, le=256)] = 0
    sweep_trial_mb: Annotated[int, msgspec.Meta(ge=1)] = 700
    ray_address: str = ""
    trace: str = ""
    mode: Literal["paper", "live"] = "paper"

    @property
    def scans(self) -> Path:
        """The scan folder."""
        return Path(self.scan_dir) if self.scan_dir else self.home / "scans"

    @property
    def archive(self) -> Path:
        """Folder of the daily scan archives."""
        return self.home / "archive"

    @property
    def books(self) -> Path:
        """Folder of recorded order books, a file of lines a day."""
        return self.home / "books"

    @property
    def book_archive(self) -> Path:
        """Folder of the daily archives of order books."""
        return self.home / "book_archive"

    @property
    def factors(self) -> Path:
        """Folder of external factors as they were known, by day."""
        return self.home / "factors"

    @property
    def reports(self) -> Path:
        """Folder of every report."""
        return self.home / "reports"

    @property
    def health_dir(self) -> Path:
        """Folder of recovery's ledger and of the operator's maintenance order."""
        return self.home / "health"

    @property
    def run_logs(self) -> Path:
        """The newest health document, the history of health, and alerts."""
        return self.home / "run_logs"

    @property
    def run_dir(self) -> Path:
        """Small state of running services: sockets, locks, epochs."""
        return self.home / "run"

    @property
    def instance_names(self) -> list[str]:
        """Trader instances, in order."""
        return listed(self.instances)

    @property
    def own_address(self) -> str:
        """Where this machine's member listens, if it runs one."""
        return f"{self.grid_bind}:{self.hazelcast_port}"

    @property
    def runs_member(self) -> bool:
        """Whether a Hazelcast member runs on this machine."""
        return not self.grid_members or self.own_address in listed(self.grid_members)

    def journal_dir(self, instance: str) -> Path:
        """Folder of one instance's journal."""
        return self.home / "journal" / instance


def listed(text: str) -> list[str]:
    """Return the parts of a comma-separated list, in order."""
    return [part.strip() for part in text.split(",") if part.strip()]
