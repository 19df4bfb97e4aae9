"""Interlocks: each one refuses by itself, and until all hold the venue is only asked."""

from pathlib import Path

import msgspec
import pytest

from dolphin_realtime.config.live import live_settings
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.errors import JournalError, SettingsError, VenueError
from dolphin_realtime.model.risk.pre_trade import PreTradeParams
from dolphin_realtime.services.trader import live_account
from dolphin_realtime.services.trader.live_account import FIRST_DAY_USD, opened
from tests.exchange.conftest import KEY, READ_KEY, READ_SECRET, SECRET
from tests.live.conftest import LiveDesk, eventually, live_of, trading

ASKS = {"GET"}
LISTEN = "/fapi/v1/listenKey"


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(live_account, "PAUSE_S", 0.01)
    monkeypatch.setattr(live_account, "TRIES", 3)


async def refused(live, kind=SettingsError):
    with pytest.raises(kind) as caught:
        async with opened(live, 5.0):
            raise AssertionError("it was opened")
    text = str(caught.value)
    assert SECRET not in text
    assert READ_SECRET not in text
    return text


REFUSALS = {
    "no cap of an order": ({"max_order_usd": 0.0}, "MAX_ORDER_USD"),
    "no cap of the gross": ({"max_gross_usd": 0.0}, "MAX_GROSS_USD"),
    "no cap of the day's loss": ({"max_daily_loss_usd": 0.0}, "MAX_DAILY_LOSS_USD"),
    "no cap of the orders a minute": ({"max_orders_per_minute": 0}, "MAX_ORDERS_PER_MINUTE"),
    "no leverage": ({"leverage": 0}, "LEVERAGE"),
    "no name": ({"allow": ""}, "ALLOW"),
    "more names than fifty": ({"allow": ",".join(f"A{n}USDT" for n in range(51))}, "50 at the most"),
    "no such file": ({"trade_key_file": "/nowhere"}, "cannot be read"),
    "an unknown venue": ({"venue": "demo"}, "live, testnet or loopback"),
    "another address beside a real venue": ({"venue": "testnet"}, "LOOPBACK is set"),
    "an address that is not this machine": (
        {"loopback": "http://10.0.0.1:80"}, "is not http://127.0.0.1"),
    "a name that is not listed": ({"allow": "BTCUSDT,NOPEUSDT"}, "NOPEUSDT is not listed"),
    "another leverage": ({"leverage": 7}, "has leverage 20"),
    "a cap below that of one order": ({"max_gross_usd": 1.0}, "may not be above"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
async def test_each_setting_refuses_by_itself(at_venue, market, tmp_path, at_once, name):
    change, words = REFUSALS[name]
    live = live_of(at_venue, tmp_path, market.assets)
    assert words in await refused(msgspec.structs.replace(live, **change))
    assert {method for _, method, _, _ in at_venue.venue.asked} <= ASKS


STATES = {
    "two-way positions": ([("mode", {"is_hedged": True})], "positions are one-way"),
    "margin of many assets": ([("mode", {"is_multi": True})], "single asset"),
    "a clock that is off": ([("set", {"offset_ms": 3000})], "ms off the venue's"),
}


@pytest.mark.parametrize("name", STATES)
async def test_each_state_of_the_account_refuses_by_itself(
    at_venue, market, tmp_path, at_once, name
):
    steps, words = STATES[name]
    for do, fields in steps:
        at_venue.ctl(do, **({"account": "one", **fields} if do == "mode" else fields))
    assert words in await refused(live_of(at_venue, tmp_path, market.assets))
    assert {method for _, method, _, _ in at_venue.venue.asked} <= ASKS


async def test_a_key_of_a_library_in_the_environment_refuses(
    at_venue, market, tmp_path, monkeypatch
):
    monkeypatch.setenv("BINANCE_API_KEY", "x")
    assert "BINANCE_API_KEY in the environment" in await refused(
        live_of(at_venue, tmp_path, market.assets)
    )
    assert at_venue.venue.asked == []


async def test_others_may_not_read_a_key(at_venue, market, tmp_path):
    live = live_of(at_venue, tmp_path, market.assets)
    (tmp_path / "trade").chmod(0o644)
    assert "chmod 600" in await refused(live)


async def test_a_reading_key_that_may_trade_refuses(at_venue, market, tmp_path, at_once):
    live = live_of(at_venue, tmp_path, market.assets)
    (tmp_path / "read").write_text(f"{KEY}\n{SECRET}\n")
    assert "the reading key may read and not trade" in await refused(live)


async def test_a_venue_that_is_away_is_waited_for_and_then_told(
    at_venue, market, tmp_path, at_once
):
    at_venue.ctl("away", parts=["rest"])
    text = await refused(live_of(at_venue, tmp_path, market.assets), VenueError)
    assert "did not let itself be asked" in text


def test_a_real_venue_needs_the_account_and_the_words(at_venue, market, tmp_path):
    from dolphin_realtime.config.live import check_meant, read_key

    live = live_of(at_venue, tmp_path, market.assets, account=KEY[-4:])
    live = msgspec.structs.replace(live, venue="live", loopback="")
    key = read_key("X", live.trade_key_file)
    with pytest.raises(SettingsError, match="--i-understand-this-trades-real-money"):
        check_meant(live, key)
    check_meant(msgspec.structs.replace(live, i_understand="this-trades-real-money"), key)
    other = msgspec.structs.replace(live, account="zzzz", i_understand="this-trades-real-money")
    with pytest.raises(SettingsError, match="another account"):
        check_meant(other, key)
    assert key.secret not in repr(key)


def test_one_instance_is_named(monkeypatch, tmp_path):
    settings = Settings(home=tmp_path, instances="BLUE,GREEN", mode="live")
    with pytest.raises(SettingsError, match="names the one of BLUE, GREEN"):
        live_settings(settings, "BLUE")
    monkeypatch.setenv("DOLPHIN_LIVE_INSTANCE", "GREEN")
    assert live_settings(settings, "BLUE") is None
    assert live_settings(settings, "GREEN").instance == "GREEN"


async def test_the_first_day_is_capped_at_a_real_venue_until_a_person_raises_it(
    at_venue, market, tmp_path
):
    async with opened(live_of(at_venue, tmp_path, market.assets), 5.0) as account:
        real = msgspec.structs.replace(
            account, live=msgspec.structs.replace(account.live, venue="live")
        )
        own = PreTradeParams(max_order_usd=100.0)
        assert real.limits(own, is_raised=False).max_gross_usd == FIRST_DAY_USD
        assert real.limits(own, is_raised=True).max_gross_usd == 150_000.0
        assert account.limits(own, is_raised=False).max_gross_usd == 150_000.0
        assert account.limits(own, is_raised=False).max_order_usd == 100.0, "the stricter holds"


async def test_a_new_journal_does_not_take_over_positions_that_it_does_not_know(
    at_venue, market, tmp_path, lowered
):
    market.archive(tmp_path)
    at_venue.books.show(market.next())
    at_venue.ctl("order", account="one", symbol="ETHUSDT", side="BUY", type="MARKET", quantity="1",
                 newClientOrderId="web_1")  # fmt: skip
    with pytest.raises(VenueError, match="the account holds ETHUSDT"):
        async with trading(tmp_path, at_venue, market):
            raise AssertionError("it traded")


async def test_a_paper_journal_stays_one(at_venue, market, tmp_path, lowered):
    from dolphin_realtime.journal.writer import Journal

    Journal(tmp_path / "journal" / "BLUE", lambda _: None).close()
    with pytest.raises(JournalError, match="is a paper journal and stays one"):
        async with trading(tmp_path, at_venue, market):
            raise AssertionError("it traded")
    sent = {(m, p) for _, m, p, _ in at_venue.venue.asked if m not in ASKS}
    assert sent <= {("POST", LISTEN), ("PUT", LISTEN)}


@pytest.mark.timeout(200)
def test_no_key_is_in_a_log_a_document_a_process_list_or_a_report(tmp_path, at_venue, market):
    desk = LiveDesk(tmp_path / "home", at_venue, market)
    with desk.stack:
        eventually(lambda: desk.posture() is not None)
        desk.wait_trading()
        desk.feed(8)
        desk.quiet()
        pids = [desk.stack.service("trader@BLUE").pid, desk.stack.pid]
        told = desk.cli("status", "--json").stdout + desk.cli("report", "2025-05-15").stdout
        for pid in pids:
            for name in ("environ", "cmdline"):
                told += Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
        desk.close()
    keys = desk.home / "keys"
    for path in desk.home.rglob("*"):
        if path.is_file() and keys not in path.parents and path.stat().st_size < 50_000_000:
            told += path.read_bytes().decode(errors="replace")
    assert "SIMULATED" in told
    for secret in (KEY, SECRET, READ_KEY, READ_SECRET):
        assert secret not in told
    assert "signature=" not in told
