"""Every pre-trade limit, provoked on a running stack and found in the journal.

The table (limit, what provoked it, the journal's row) is generated and printed; a limit without a
row fails.
"""

import numpy as np
import pytest

from dolphin_realtime.grid import maps
from dolphin_realtime.model.risk.pre_trade import LIMITS
from dolphin_realtime.replay.market import Market, PriceTable, ReplayParams, load_prices
from dolphin_realtime.replay.pace import archive_days
from tests.integration.conftest import Desk, eventually, make_desk, print_table, state_of
from tests.journals import rows

TINY = "TINYUSDT"
"""An asset so cheap that an order of it has no finite size."""
PROVOKED_BY = {
    "NOT_FINITE": {},
    "NOT_ALLOWED": {"allow": "BTCUSDT"},
    "PRICE_COLLAR": {"max_price_move": 1e-7},
    "MAX_ORDER": {"max_order_usd": 20},
    "MAX_POSITION": {"max_position_share": 1e-4},
    "MAX_GROSS": {"max_gross_share": 1e-3},
    "MAX_GROSS_USD": {"max_gross_usd": 100},
    "MAX_NET": {"max_net_share": 1e-4},
    "ALL_GROSS": {"all_gross_usd": 1500},
    "ALL_NET": {"all_net_usd": 1500},
    "ALL_ASSET": {"all_asset_usd": 1500},
    "MAX_ORDERS_PER_MINUTE": {"max_orders_per_minute": 1},
    "DUPLICATE_ORDER": {"duplicate_window_s": 86_400},
    "DAILY_LOSS": {"max_daily_loss_share": 1e-9},
    "DAILY_LOSS_USD": {"max_daily_loss_usd": 1e-6},
    "ORDER_UNKNOWN": {"paper_unknown_filled_share": 0.9},
}


def instance_of(code):
    return code.replace("_", "")


def market_with_tiny():
    table = load_prices()
    tiny = table.prices[:, :1] * 1e-305
    prices = np.hstack([table.prices, tiny])
    return Market(PriceTable([*table.assets, TINY], table.times_us, prices), ReplayParams())


def asked(home, instance, query, *values):
    return rows(home / "journal" / instance, query, *values)


@pytest.mark.timeout(400)
def test_each_limit_is_provoked_and_journalled(tmp_path, capsys):
    assert set(PROVOKED_BY) == {limit.code for limit in LIMITS}
    settings = {
        f"{instance_of(code)}__{name if name.startswith('paper_') else f'limit_{name}'}": value
        for code, given in PROVOKED_BY.items()
        for name, value in given.items()
    }
    home = tmp_path / "home"
    base = make_desk(
        home,
        instances=",".join(map(instance_of, PROVOKED_BY)),
        stale_cadence_min_s=600,
        safety_cool_down_s=0,
        mhs_sources="scan,safety",
        safety_limit_state_stale_s=600,
        watchdog_s=120,
        **settings,
    )
    for path in (home / "archive").glob("*.parquet"):
        path.unlink()
    market = market_with_tiny()
    archive_days(market, home / "archive", base.first_us - 86_400_000_000, base.first_us)
    desk = Desk(base.stack, market, base.first_us)
    query = "SELECT timestamp_us, asset, side, quantity, value, bound FROM refusals WHERE code = ? LIMIT 1"
    with desk.stack:
        eventually(lambda: desk.posture() is not None)
        found = {}

        def all_found():
            scan = desk.feed(1, wait=False)
            for code in PROVOKED_BY:
                name = instance_of(code)
                eventually(
                    lambda n=name, s=scan: asked(
                        home, n, "SELECT 1 FROM equity WHERE timestamp_us = ?", s.timestamp_us
                    ),
                    60.0,
                )
                if code not in found and (row := asked(home, name, query, code)):
                    found[code] = row[0]
            return found.keys() == PROVOKED_BY.keys() or None

        eventually(
            all_found, 240.0, lambda: f"every limit; missing {PROVOKED_BY.keys() - found.keys()}"
        )
        for code in PROVOKED_BY:
            name = instance_of(code)
            reasons = {r for (r,) in asked(home, name, "SELECT DISTINCT reason FROM decisions")}
            assert code in reasons
            done = desk.cli("journal", "check", "--instance", name)
            assert done.returncode == 0, done.stdout
            state = desk.document(maps.state_map(name), maps.LATEST_STATE)
            eventually(lambda n=name, c=code: state_of(desk, n)["refused"].get(c))
        assert state["mode"] == "paper"
        desk.close()
    print_table(capsys, ("limit", "provoked by", "journal row"), [
        (code, PROVOKED_BY[code] or f"price of {TINY}", found[code]) for code in PROVOKED_BY
    ])  # fmt: skip
