"""Writing a report's files: report.html for people, report.json for machines, tables as Parquet.

File names belong here; content belongs in figures.py and page.py. Files are replaced atomically:
a reader never sees a partial one.
"""

from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from dolphin_realtime.infra import files
from dolphin_realtime.journal.database import reading
from dolphin_realtime.journal.export import TIME
from dolphin_realtime.reports.caveats import caveats_of
from dolphin_realtime.reports.figures import Figures, figures_of
from dolphin_realtime.reports.page import render
from dolphin_realtime.reports.period import Period, read_period
from dolphin_realtime.reports.plotly_script import write_page
from dolphin_realtime.reports.span import Span
from dolphin_realtime.reports.trades import Trade
from dolphin_realtime.scans.coverage import DayCoverage

HTML: Final = "report.html"
JSON: Final = "report.json"
_TRADE_SCHEMA: Final = pa.schema(
    [
        ("asset", pa.string()),
        ("side", pa.string()),
        ("opened", TIME),
        ("closed", TIME),
        ("quantity", pa.float64()),
        ("average_open", pa.float64()),
        ("average_close", pa.float64()),
        ("realised", pa.float64()),
        ("fees", pa.float64()),
    ]
)


class Report(msgspec.Struct):
    """A written report: its figures, its folder, the equity series for the sparkline, its days."""

    figures: Figures
    folder: Path
    equity: list[float]
    coverage: list[DayCoverage] = []

    @property
    def html(self) -> Path:
        """The page."""
        return self.folder / HTML

    @property
    def json(self) -> Path:
        """The figures."""
        return self.folder / JSON


def write_report(
    journal_folder: Path,
    out: Path,
    title: str,
    span: Span | None = None,
    caveats: tuple[str, ...] = (),
    backtest_net: float | None = None,
    foot: str = "",
) -> Report:
    """Write the report of a journal over a span into a folder.

    ``backtest_net`` is shown beside the figures of a live journal; ``foot`` is markup at the page's end.

    Raises:
        JournalError: If there is no journal.
        OSError: If ``out`` cannot be written.
    """
    with reading(journal_folder) as db:
        period = read_period(db, span)
    found = figures_of(period)
    if found.live is not None:
        found.live.backtest_net = backtest_net
    found.caveats = [*caveats, *caveats_of(period)]
    out.mkdir(parents=True, exist_ok=True)
    files.replace(out / JSON, msgspec.json.format(msgspec.json.encode(found), indent=2))
    write_page(out / HTML, render(title, found, period, foot))
    _write_positions(out / "positions.parquet", period)
    return Report(found, out, period.series["equity"].tolist())


def replace_table(path: Path, table: pa.Table) -> None:
    """Replace a Parquet file atomically."""
    with files.replacing(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def _write_positions(path: Path, period: Period) -> None:
    """Write the round trips that were open or closed in the period."""
    trades = sorted([*period.closed, *period.still_open], key=lambda t: (t.opened_us, t.asset))
    replace_table(path, _table(trades))


def _table(trades: list[Trade]) -> pa.Table:
    return pa.table(
        {
            "asset": [t.asset for t in trades],
            "side": [t.side for t in trades],
            "opened": [t.opened_us for t in trades],
            "closed": [t.closed_us for t in trades],
            "quantity": [t.quantity for t in trades],
            "average_open": [t.average_open for t in trades],
            "average_close": [t.average_close for t in trades],
            "realised": [t.realised for t in trades],
            "fees": [t.fees for t in trades],
        },
        schema=_TRADE_SCHEMA,
    )
