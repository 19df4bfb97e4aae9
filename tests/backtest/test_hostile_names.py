"""Assets with hostile names, all the way into reports: no name becomes anything else.

The names are replaced where a scan file is read, and no venue takes an order of such a name. Here they
get past the first, and then into a page as if the second were not there either.
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
from dolphin_realtime.reports.plots import _per_asset, largest, markup
from dolphin_realtime.reports.trade_table import _row
from dolphin_realtime.reports.trades import Trade
from dolphin_realtime.scans.archive import write_archive

NAMES = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'onmouseover='alert(1)",
    "</script><svg onload=alert(1)>", "../../../tmp/escaped", "=cmd|' /C calc'!A0", "$(touch escaped)",
    "`touch escaped`", "; touch escaped", "'; DROP TABLE orders;--", "a\nb", "\x1b[2J", "[bold]x[/bold]",
    "{{7*7}}", "%s%n%d", "A\u202eB",
)  # fmt: skip
SCANS = 900
REPLACED = 8


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
    """The same short day twice: names that nobody can trade in place of some, harmless and hostile."""
    market = Market(load_prices(), ReplayParams())
    begin = first_day(market)
    found = {}
    for kind in ("harmless", "hostile"):
        folder = tmp_path_factory.mktemp(kind)
        for n, most in ((-1, None), (0, SCANS)):
            first = begin + n * DAY_US
            rows = market.rows_of(first, first + DAY_US)
            scans = list(numbered(s for row in rows for s in market.scans_at(row)))[:most]
            names = NAMES if kind == "hostile" else [f"bad {n}" for n in range(len(NAMES))]
            scans = [
                msgspec.structs.replace(s, assets=[*names[:REPLACED], *s.assets[REPLACED:]])
                for s in scans
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
    harmless, hostile = (Page(pages[kind]) for kind in ("harmless", "hostile"))
    assert harmless.tags["table"] > 2
    assert hostile.tags == harmless.tags
    assert hostile.handlers == harmless.handlers == []
    assert (
        reports["hostile"][1].report.figures.fills
        == reports["harmless"][1].report.figures.fills
        > 50
    )


def test_no_name_becomes_a_file_a_path_or_a_command(reports):
    harmless, hostile = (
        sorted(str(p.relative_to(out)) for p in out.rglob("*")) for out, _ in reports.values()
    )
    assert hostile == harmless
    out = reports["hostile"][0]
    assert not list(out.parent.rglob("escaped*"))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_on_a_page_is_text(name):
    trade = Trade(asset=name, side="LONG", opened_us=0)
    for text, tags in (
        (_row(trade), {"tr", "td", "span"}),
        (markup(_per_asset({name: 1.0}), "x"), {"div", "script"}),
    ):
        page = Page(text)
        assert set(page.tags) <= tags
        assert page.handlers == []


def test_of_many_assets_the_largest_are_drawn_and_the_others_summed():
    nets = {f"A{n:04d}": (-1.0) ** n * n for n in range(2000)}
    shown = largest(nets, 40)
    assert len(shown) == 41
    assert math.isclose(sum(shown.values()), sum(nets.values()))
    assert list(shown)[:40] == [f"A{n:04d}" for n in range(1960, 2000)]
    assert largest(nets, 2000) is nets
