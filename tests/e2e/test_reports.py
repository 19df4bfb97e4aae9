"""Reports in a real browser: drawn, readable, nothing on top of anything, no network."""

import itertools
import os
import subprocess
import sys

import pytest

from dolphin_realtime.bench.backtest import first_day
from dolphin_realtime.model.instant import DAY_US, day_of
from dolphin_realtime.replay.market import Market, ReplayParams, load_prices
from dolphin_realtime.replay.pace import archive_days
from tests.e2e.conftest import SHOTS

PARTS = ".tile, .note, .plot, section"


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Folders of reports: a day with trades, a day without, and a sweep."""
    home = tmp_path_factory.mktemp("reports")
    market = Market(load_prices(), ReplayParams())
    begin = first_day(market)
    archive_days(market, home / "archive", begin, begin + 2 * DAY_US)
    day = day_of(begin + DAY_US)
    grid = home / "grid.yaml"
    grid.write_text(
        f"from: {day}\nto: {day}\nwarm_up_days: 1\nscans: {home / 'archive'}\ngrid: {{s_in: [1.0, 1.5]}}\n"
    )
    base = ["backtest", "--scans", str(home / "archive"), "--from", day, "--to", day]
    for words in (
        [*base, "--out", str(home / "trades")],
        [*base, "--out", str(home / "none"), "--set", "s_in=50"],
        ["sweep", str(grid), "--out", str(home / "sweep")],
    ):
        env = {k: v for k, v in os.environ.items() if not k.startswith("DOLPHIN_")}
        done = subprocess.run(
            [sys.executable, "-m", "dolphin_realtime.cli", *words],
            env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def show(browser, reports):
    """Open a report without any network; return its page."""
    contexts = []

    def opened(name, width=1200):
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.asked, page.faults = [], []
        page.on("request", lambda r: page.asked.append(r.url))
        page.on("pageerror", lambda e: page.faults.append(str(e)))
        page.goto((reports / name / "report.html").as_uri())
        page.wait_for_function(
            "[...document.querySelectorAll('.plotly-graph-div')].every(d => d.querySelector('.main-svg'))"
        )
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"report-{name}-{width}.png", full_page=True)
        return page

    yield opened
    for context in contexts:
        context.close()


def overlaps(page):
    boxes = page.eval_on_selector_all(
        PARTS,
        "all => all.map(e => { const r = e.getBoundingClientRect();"
        " return [r.left, r.top, r.right, r.bottom, e.className || e.tagName]; })",
    )
    assert len(boxes) >= 4
    return [
        (a[4], b[4])
        for a, b in itertools.combinations(boxes, 2)
        if a[0] < b[2] - 1 and b[0] < a[2] - 1 and a[1] < b[3] - 1 and b[1] < a[3] - 1
    ]


def text_overlaps(page):
    """Return texts of a plot that lie on each other: titles, legends, axis labels."""
    return page.evaluate(
        """() => { const found = [];
        for (const plot of document.querySelectorAll('.plotly-graph-div')) {
          const texts = [...plot.querySelectorAll('.gtitle, .legendtext, .ytitle, .xtitle, .y2title')]
            .map(e => [e.textContent, e.getBoundingClientRect()]);
          for (let i = 0; i < texts.length; i++) for (let j = i + 1; j < texts.length; j++) {
            const [a, b] = [texts[i][1], texts[j][1]];
            if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
              found.push(texts[i][0] + ' | ' + texts[j][0]); } }
        return found; }"""
    )


@pytest.mark.parametrize("width", [1200, 700])
@pytest.mark.parametrize(("name", "plots"), [("trades", 3), ("none", 2), ("sweep", 1)])
def test_a_report_is_drawn_and_nothing_overlaps(show, name, plots, width):
    page = show(name, width)
    assert page.locator(".plotly-graph-div").count() == plots
    assert page.locator(".plotly-graph-div .main-svg").count() >= plots
    assert overlaps(page) == []
    assert text_overlaps(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.faults == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_net_leads_and_lines_have_points(show):
    page = show("trades")
    assert page.locator(".tile").first.inner_text().startswith("Net")
    points = page.evaluate("document.getElementById('plot-equity').data[0].y.length")
    assert points > 100
    assert page.get_by_text("not enough data").count() == 3


def test_a_day_without_a_trade_is_readable_and_says_why(show):
    page = show("none")
    assert any("Nothing was traded" in note for note in page.locator(".note").all_inner_texts())
    assert "NO_DIRECTION" in page.locator("body").inner_text()


def test_a_sweep_leads_with_what_it_is_worth(show):
    page = show("sweep")
    assert "hourly returns" in page.locator("body").inner_text()
    assert page.locator(".note").first.inner_text() != ""
