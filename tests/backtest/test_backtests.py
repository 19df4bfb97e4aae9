"""Backtests over real prices: identities, repeatability, and the report recomputed by plain pandas.

BACKTEST_DAYS says how many days of each record are traded (default 3; `make prove-backtest`
takes all of them).
"""

import json
import os
import subprocess
import sys

import empyrical
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dolphin_realtime.bench.backtest import first_day
from dolphin_realtime.factors.files import SCHEMA
from dolphin_realtime.model.instant import DAY_US, day_of
from dolphin_realtime.replay.market import SAMPLE, Market, ReplayParams, load_prices
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.reports import plotly_script
from dolphin_realtime.scans.archive import read_archive
from tests.shared_data import SHARED, require

N_DAYS = int(os.environ.get("BACKTEST_DAYS", "3"))
FIVE_MINUTES = ("gap_max_s=900", "tau_s_s=3600", "tau_v_s=14400", "tau_x_s=14400")
"""Parameters for scans five minutes apart: a gap of 180 s would break every return."""

RECORDS = {
    "sample": (SAMPLE, 2, (), None),
    "binance": (SHARED / "binance_usdm_1m_close.parquet", 24, (), "binance_usdm_funding.parquet"),
    "hyperliquid": (SHARED / "hyperliquid_perp_5m_close.parquet", 17, FIVE_MINUTES, None),
}


@pytest.fixture(scope="module", params=RECORDS)
def record(request, tmp_path_factory):
    """A record as archives: (folder, traded days, assignments, factor file)."""
    path, longest, assignments, funding = RECORDS[request.param]
    require(path)
    folder = tmp_path_factory.mktemp(request.param)
    table = load_prices(path)
    market = Market(table, ReplayParams(cadence_s=table.step_us / 1e6))
    begin, n = first_day(market), min(N_DAYS, longest)
    archive_days(market, folder / "archive", begin, begin + (n + 1) * DAY_US)
    factors = _factors(SHARED / funding, folder / "factors.parquet") if funding else None
    days = [day_of(begin + i * DAY_US) for i in range(1, n + 1)]
    return folder, days, assignments, factors


def _factors(path, out):
    """Write the recorded rates as readings known a minute before their settlement."""
    rates = pd.read_parquet(path).set_index("ts").stack().rename("value").reset_index()
    rates.columns = ["event_time", "asset", "value"]
    gaps = rates.groupby("asset")["event_time"].diff().shift(-1).ffill()
    frame = rates.assign(
        name="funding", unit="fraction", source="recorded", lifetime_s=16 * 3600.0,
        fetch_time=rates["event_time"] - pd.Timedelta(minutes=1),
        interval_h=(gaps.dt.total_seconds() / 3600.0).clip(upper=8.0),
        percentile_90=None, simulated=None,
    )  # fmt: skip
    schema = pa.schema([field for field in SCHEMA if field.name in frame.columns])
    pq.write_table(pa.Table.from_pandas(frame[schema.names], schema=schema), out)
    return out


def backtest(record, out, *more):
    folder, days, assignments, factors = record
    command = [
        sys.executable, "-m", "dolphin_realtime.cli", "backtest", "--scans", str(folder / "archive"),
        "--from", days[0], "--to", days[-1], "--out", str(out), "--json",
        *(word for a in assignments for word in ("--set", a)),
        *(("--factors", str(factors)) if factors else ()), *more,
    ]  # fmt: skip
    env = {k: v for k, v in os.environ.items() if not k.startswith("DOLPHIN_")}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=env, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def ran(record, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return backtest(record, out), out


def test_the_parts_add_up_and_trades_happened(ran):
    facts, _ = ran
    assert facts["fills"] > 50 * facts["days"] / 3
    parts = facts["gross"] - facts["slippage"] - facts["fees"] - facts["funding"]
    assert facts["net"] == pytest.approx(parts, abs=1e-6)
    assert facts["net"] == pytest.approx(facts["end_equity"] - facts["start_equity"], abs=1e-6)
    assert sum(facts["per_asset"].values()) == pytest.approx(facts["net"], abs=1e-6)
    assert facts["fees"] > 0
    assert facts["slippage"] > 0


def test_every_scan_after_the_warm_up_was_traded_once(record, ran):
    folder, days, _, _ = record
    scans = sum(pq.read_metadata(folder / "archive" / f"{day}.parquet").num_rows for day in days)
    equity = pd.read_parquet(ran[1] / "equity.parquet")
    assert ran[0]["scans"] == len(equity) == scans
    assert equity["timestamp"].is_monotonic_increasing


def test_plain_pandas_gives_the_same_profit_from_the_fills(record, ran):
    """Cash flows, not average costs: cash = start - spent + received - fees - funding."""
    (folder, days, _, _), (facts, out) = record, ran
    fills, funding = (pd.read_parquet(out / f"{name}.parquet") for name in ("fills", "funding"))
    signed = fills["quantity"].where(fills["side"] == "BUY", -fills["quantity"])
    prices = {}
    for day in days:
        for scan in read_archive(folder / "archive" / f"{day}.parquet"):
            prices.update(dict(zip(scan.assets, scan.prices, strict=True)))
    held = signed.groupby(fills["asset"]).sum()
    worth = (held * pd.Series(prices).reindex(held.index)).sum()
    costs = fills["fee"].sum() + funding["amount"].sum()
    net = worth - (signed * fills["price"]).sum() - costs
    assert net == pytest.approx(facts["net"], abs=1e-6)
    at_mid = worth - (signed * fills["mid"]).sum()
    assert at_mid == pytest.approx(facts["gross"], abs=1e-6)
    slippage = (fills["quantity"] * (fills["price"] - fills["mid"]).abs()).sum()
    assert slippage == pytest.approx(facts["slippage"], abs=1e-6)
    assert fills["fee"].sum() == pytest.approx(facts["fees"], abs=1e-6)
    assert funding["amount"].sum() == pytest.approx(facts["funding"], abs=1e-6)
    assert fills["fee"].sum() == pytest.approx(
        (fills["quantity"] * fills["price"]).sum() * 5e-4, rel=1e-4
    )
    assert (fills["timestamp"] <= fills["booked"]).all()
    orders = pd.read_parquet(out / "orders.parquet").set_index("client_order_id")
    decided = orders.loc[fills["client_order_id"], "timestamp"].reset_index(drop=True)
    assert (fills["timestamp"] > decided).all()


def test_daily_returns_and_drawdown_are_those_of_empyrical(ran):
    facts, out = ran
    equity = pd.read_parquet(out / "equity.parquet").set_index("timestamp")["equity"]
    closes = equity.groupby(equity.index.date).last()
    path = pd.concat([pd.Series([facts["start_equity"]]), closes])
    returns = path.pct_change().dropna()
    assert list(facts["returns"].values()) == pytest.approx(returns.tolist(), abs=1e-9)
    every = pd.concat([pd.Series([facts["start_equity"]]), equity]).pct_change().dropna()
    assert -facts["max_drawdown"] == pytest.approx(empyrical.max_drawdown(every), rel=1e-9)
    assert facts["total_return"] == pytest.approx(empyrical.cum_returns_final(every), rel=1e-6)


def test_funding_was_paid_where_rates_are_known(record, ran):
    funding = pd.read_parquet(ran[1] / "funding.parquet")
    if record[3] is None:
        assert (funding["amount"] == 0).all()
    else:
        paid = funding.dropna(subset=["rate"])
        assert len(paid) > 0
        assert (paid["amount"] != 0).any()
        hours = paid["timestamp"].dt.hour.unique()
        assert {0, 8, 16} >= set(hours) or "ENAUSDT" in set(paid["asset"]) | {"LAYERUSDT"}


def test_a_second_run_gives_the_same_bytes(record, ran, tmp_path):
    backtest(record, tmp_path)
    for file in ran[1].iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name


def test_the_headline_keys_are_all_there(ran):
    facts, out = ran
    wanted = {
        "start_equity", "end_equity", "gross", "fees", "slippage", "funding", "net", "fills",
        "orders", "max_drawdown", "sharpe", "sortino", "volatility", "turnover", "trades",
        "benchmark", "signal", "exposure", "reasons", "latency_us",
    }  # fmt: skip
    assert wanted <= facts.keys()
    names = {
        "fills", "orders", "equity", "decisions", "funding", "positions", "refusals",
        "order_events", "position_changes",
    }  # fmt: skip
    pages = {"report.html", "report.json", plotly_script.NAME}
    assert {f"{n}.parquet" for n in names} | pages == {p.name for p in out.iterdir()}
    assert json.loads((out / "report.json").read_text())["net"] == facts["net"]


def test_a_settings_mistake_is_one_line(record, tmp_path):
    folder, days, _, _ = record

    def fails(*words):
        command = [sys.executable, "-m", "dolphin_realtime.cli", "backtest", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    base = ["--scans", str(folder / "archive"), "--out", str(tmp_path)]
    status, said = fails(*base, "--from", days[-1], "--to", "2001-01-01")
    assert (status, "before --from" in said) == (2, True)
    status, said = fails(*base, "--from", "2001-01-01", "--to", "2001-01-02")
    assert (status, "its days are" in said) == (1, True)
    status, said = fails(*base, "--from", days[0], "--to", days[0], "--set", "nonsense=1")
    assert (status, "unknown parameter 'nonsense'" in said) == (2, True)
    status, said = fails(*base, "--from", "yesterday", "--to", days[0])
    assert (status, "expected YYYY-MM-DD" in said) == (2, True)
