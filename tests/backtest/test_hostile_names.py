"""A market whose assets have hostile names, all the way into reports: no name becomes anything else.

The names are replaced where a scan file is read. Here they get past that, as if it were not there.
"""

import math
from collections import Counter
from html.parser import HTMLParser

import msgspec
import pytest

from dolphin_realtime.backtest import days
from dolphin_realtime.bench.backtest import first_day
from dolphin_realtime.config.trader_parameters import changed, load_parameters
from dolphin_realtime.model.instant import DAY_US, day_of
from dolphin_realtime.model.market.scan import numbered
from dolphin_realtime.replay.market import Market, ReplayParams, load_prices
from dolphin_realtime.reports.plots import largest
from dolphin_realtime.scans.archive import write_archive

NAMES = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'onmouseover='alert(1)",
    "</script><svg onload=alert(1)>", "../../../tmp/escaped", "=cmd|' /C calc'!A0", "$(touch escaped)",
    "`touch escaped`", "; touch escaped", "'; DROP TABLE orders;--", "a\nb", "\x1b[2J", "[bold]x[/bold]",
    "{{7*7}}", "%s%n%d", "A\u202eB",
)  # fmt: skip
SCANS = 900


class Page(HTMLParser):
    """The tags of a page, and its attributes that run code."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.handlers = Counter(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.handlers += [(tag, name) for name, _ in attrs if name.startswith("on")]


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The same short day twice: with the sample's names, and with hostile ones."""
    market = Market(load_prices(), ReplayParams())
    begin = first_day(market)
    found = {}
    for kind in ("usual", "hostile"):
        folder = tmp_path_factory.mktemp(kind)
        for n, most in ((-1, None), (0, SCANS)):
            first = begin + n * DAY_US
            rows = market.rows_of(first, first + DAY_US)
            scans = list(numbered(s for row in rows for s in market.scans_at(row)))[:most]
            if kind == "hostile":
                scans = [
                    msgspec.structs.replace(s, assets=list(NAMES[: len(s.assets)])) for s in scans
                ]
            write_archive(
                folder / "archive" / f"{day_of(first)}.parquet", ((s, "test") for s in scans)
            )
        words = ["s_in=0.5", "s_out=0.2", "band=0.02"]
        job = days.Job(
            scans=folder / "archive", first=day_of(begin), last=day_of(begin), warm_up_days=1,
            parameters=changed(load_parameters(), words),
        )  # fmt: skip
        found[kind] = folder / "out", days.run(job, folder / "out")
    return found


def test_the_pages_are_the_same_but_for_the_names(reports):
    pages = {kind: (out / "report.html").read_text() for kind, (out, _) in reports.items()}
    usual, hostile = (Page(pages[kind]) for kind in ("usual", "hostile"))
    assert usual.tags["table"] > 2
    assert hostile.tags == usual.tags
    assert hostile.handlers == usual.handlers == []
    assert "alert(1)" in pages["hostile"], "the names are on the page, as text"
    assert (
        reports["hostile"][1].report.figures.fills == reports["usual"][1].report.figures.fills > 50
    )


def test_no_name_becomes_a_file_a_path_or_a_command(reports):
    usual, hostile = (
        sorted(str(p.relative_to(out)) for p in out.rglob("*")) for out, _ in reports.values()
    )
    assert hostile == usual
    out = reports["hostile"][0]
    assert not list(out.parent.rglob("escaped*"))


def test_of_many_assets_the_largest_are_drawn_and_the_others_summed():
    nets = {f"A{n:04d}": (-1.0) ** n * n for n in range(2000)}
    shown = largest(nets, 40)
    assert len(shown) == 41
    assert math.isclose(sum(shown.values()), sum(nets.values()))
    assert list(shown)[:40] == [f"A{n:04d}" for n in range(1960, 2000)]
    assert largest(nets, 2000) is nets
