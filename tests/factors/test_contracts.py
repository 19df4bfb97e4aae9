"""Every source on its documented sample, and on each day it changes its mind: source × fault."""

import json
from datetime import UTC, datetime

import httpx2
import pytest

from dolphin_dagster.factors.registry import external
from dolphin_dagster.factors.verdicts import agrees, is_in_range
from dolphin_realtime.model.errors import SourceFormatChanged, SourceUnavailable
from dolphin_realtime.replay.factor_server import KNOWN, Fault
from tests.factors.sources import Replayed
from tests.shared_data import SHARED, require

U, F, OK = SourceUnavailable, SourceFormatChanged, None
RANGE, LEAP = "is_in_range", "agrees_with_history"
FAULTS = ("429", "418", "500", "hang", "truncated", "html", "empty", "shape", "strings",
          "unit", "percent", "range", "negative", "not_finite", "seconds", "stale")  # fmt: skip
ALWAYS = (U, U, U, U, U, F)
OUTCOMES = {
    # after the six that are the same for all: empty, shape, strings, unit (a hundredth), percent
    # (a hundredfold), range, negative, not finite, seconds for milliseconds, ten days stale
    "btc_dominance": (F, F, F, F, F, F, F, F, F, U),
    "btc_fees": (F, F, F, F, RANGE, F, F, F, OK, OK),  # tells no instant
    "btc_hash_rate": (OK, F, F, F, F, F, F, F, OK, OK),  # its rows are not read; no instant
    "dvol": (U, F, F, OK, F, F, F, F, F, U),  # a fraction is an old answer, taken as such
    "fear_greed": (U, F, F, F, F, F, F, F, F, U),
    "funding": (U, F, F, F, F, F, F, F, F, U),
    "funding_interval": (U, F, F, F, F, F, F, F, OK, OK),  # tells no instant
    "long_short_accounts": (U, F, F, F, F, F, F, F, F, U),
    "open_interest": (F, F, F, LEAP, LEAP, F, F, F, F, U),  # contracts for coins: only a leap
    "stablecoin_supply": (U, F, F, F, F, F, F, F, OK, OK),  # tells no instant
    "taker_flow": (U, F, F, F, F, F, F, F, F, U),
    "vix": (U, F, F, F, F, F, F, F, F, U),
}


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    with Replayed(tmp_path_factory.mktemp("contracts")).serving() as replayed:
        yield replayed


@pytest.fixture(autouse=True)
def well(request):
    yield
    if "replayed" in request.fixturenames:
        replayed = request.getfixturevalue("replayed")
        replayed.server.behave()
        replayed.forget()
        replayed.timeout_s = 5.0


def test_the_tables_have_every_source_and_every_fault():
    assert set(OUTCOMES) == set(SAMPLES) == set(external())
    assert set(FAULTS) == set(KNOWN)
    assert {len(row) for row in OUTCOMES.values()} == {len(FAULTS) - len(ALWAYS)}


@pytest.mark.parametrize("name", sorted(OUTCOMES))
def test_a_source_that_is_well(replayed, name):
    indicator = external()[name]
    found = replayed.read(indicator)
    assert {key[0] for key in found} == set(indicator.names)
    assert is_in_range(indicator, found).passed
    assert all(reading.simulated == "seeded factors, seed 1" for reading in found.values())


@pytest.mark.parametrize("name", sorted(OUTCOMES))
@pytest.mark.parametrize("fault", FAULTS)
def test_a_source_that_changes_its_mind(replayed, name, fault):
    indicator = external()[name]
    before = replayed.read(indicator)
    replayed.server.misbehave(Fault(path=indicator.path, fault=fault))
    replayed.timeout_s = 0.1 if fault == "hang" else 5.0
    outcome = dict(zip(FAULTS, (*ALWAYS, *OUTCOMES[name]), strict=True))[fault]
    if outcome in (U, F):
        with pytest.raises(outcome) as raised:
            replayed.read(indicator)
        assert str(raised.value).startswith(indicator.host)
        if outcome is F:
            assert " is " in str(raised.value), "field and value"
        return
    found = replayed.read(indicator)
    earlier = {
        key: type(r)(**{**{f: getattr(r, f) for f in r.__struct_fields__}, "event_time": r.event_time.replace(year=2024)})
        for key, r in before.items()
    }  # fmt: skip
    red = {
        name
        for name, verdict in (
            (RANGE, is_in_range(indicator, found)),
            (LEAP, agrees(indicator, found, earlier)),
        )
        if not verdict.passed
    }
    assert (outcome in red) if outcome else not red, red


SAMPLES = {
    "funding": (
        {"symbol":"BTCUSDT","markPrice":"11793.63104562","indexPrice":"11781.80495970","estimatedSettlePrice":"11781.16138815","lastFundingRate":"0.00038246","nextFundingTime":1597392000000,"interestRate":"0.00010000","time":1597370495002},
        {("funding", "BTCUSDT"): 0.00038246, ("mark_price", "BTCUSDT"): 11793.63104562},
    ),
    "open_interest": (
        {"openInterest":"10659.509","symbol":"BTCUSDT","time":1589437530011},
        {("open_interest", "BTCUSDT"): 10659.509},
    ),
    "long_short_accounts": (
        [{"symbol":"BTCUSDT","longShortRatio":"1.9559","longAccount":"0.6617","shortAccount":"0.3382","timestamp":"1583139900000"}],
        {("long_accounts", "BTCUSDT"): 0.6617},
    ),
    "taker_flow": (
        [{"buySellRatio":"1.5586","buyVol":"387.3300","sellVol":"248.5030","timestamp":"1585614900000"}],
        {("taker_buy_share", "BTCUSDT"): 387.33 / (387.33 + 248.503)},
    ),
    "dvol": (
        {"jsonrpc":"2.0","id":5,"result":{"data":[[1598019300000,0.210084879,0.212860821,0.210084879,0.212860821]],"continuation":None}},
        {("dvol_btc", None): 21.2860821, ("dvol_eth", None): 21.2860821},
    ),
    "fear_greed": (
        {"name":"Fear and Greed Index","data":[{"value":"40","value_classification":"Fear","timestamp":"1551157200","time_until_update":"68499"}],"metadata":{"error":None}},
        {("fear_greed", None): 40.0},
    ),
    "btc_dominance": (
        {"data":{"total_market_cap":{"usd":2621040321355.0405},"market_cap_percentage":{"btc":57.9539332566265,"eth":9.58227145398409},"updated_at":1779878351}},
        {("btc_dominance", None): 57.9539332566265},
    ),
    "stablecoin_supply": (
        {"peggedAssets":[{"id":"1","name":"Tether","symbol":"USDT","pegType":"peggedUSD","circulating":{"peggedUSD":159510682147.76874},"price":1.001}]},
        {("stablecoin_supply", None): 159510682147.76874, ("usdt_supply", None): 159510682147.76874},
    ),
    "btc_fees": (
        {"fastestFee":1,"halfHourFee":1,"hourFee":1,"economyFee":1,"minimumFee":1},
        {("btc_fee_fastest", None): 1.0, ("btc_fee_hour", None): 1.0},
    ),
    "funding_interval": (
        [{"symbol":"BTCUSDT","adjustedFundingRateCap":"0.02500000","adjustedFundingRateFloor":"-0.02500000","fundingIntervalHours":4,"disclaimer":False}],
        {("funding_interval", "BTCUSDT"): 4.0},
    ),
    "vix": (
        "DATE,OPEN,HIGH,LOW,CLOSE\n04/04/2025,30.120000,45.610000,29.770000,45.310000\n04/07/2025,60.130000,60.130000,38.580000,46.980000\n",
        {("vix", None): 46.98},
    ),
    "btc_hash_rate": (
        {"currentHashrate":252033247355212300000,"currentDifficulty":31251101365711.12},
        {("btc_hash_rate", None): 252.0332473552123},
    ),
}  # fmt: skip
"""What the sources' own documents show, and what is read of it."""
AT = {
    "funding": 1597370495.1, "open_interest": 1589437531.0, "long_short_accounts": 1583139960.0,
    "taker_flow": 1585614960.0, "dvol": 1598019365.0, "fear_greed": 1551160800.0,
    "btc_dominance": 1779878400.0, "vix": 1744072200.0,
}  # fmt: skip
"""Unix time at which each sample was new; the others tell no instant."""


class Sample:
    """A source that says one thing."""

    note = "a documented sample"

    def __init__(self, path, body):
        limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}]  # fmt: skip
        self.routes = {
            "/fapi/v1/exchangeInfo": lambda _q, _t: {"rateLimits": limits},
            path: lambda _q, _t: body,
        }


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_documented_sample(tmp_path, name):
    body, values = SAMPLES[name]
    indicator = external()[name]
    rows = [body] if name == "funding" else body
    with Replayed(tmp_path, Sample(indicator.path, rows)).serving() as replayed:
        replayed.now = datetime.fromtimestamp(AT.get(name, 1600000000.0), UTC)
        ask = replayed.ask(indicator, ["BTCUSDT"])
        ask.symbols = ["BTCUSDT"]
        found = indicator.fetch(ask)
    assert {(one.name, one.asset): one.value for one in found} == pytest.approx(values)


def test_real_days_of_the_record(tmp_path):
    record = require(SHARED / "external_factors_daily.parquet")
    with Replayed(tmp_path, record=record).serving() as replayed:
        replayed.now = datetime(2025, 4, 8, 0, 30, tzinfo=UTC)
        value = {
            key[0]: reading.value
            for name in ("dvol", "fear_greed", "vix", "btc_dominance", "stablecoin_supply")
            for key, reading in replayed.read(external()[name]).items()
        }
        assert value["dvol_btc"] == 52.79
        assert value["dvol_eth"] == 75.06
        assert value["vix"] == pytest.approx(46.98)
        assert value["btc_dominance"] == pytest.approx(63.52, abs=0.005)
        assert value["usdt_supply"] == pytest.approx(147.75e9, rel=1e-3)
        replayed.now = datetime(2025, 4, 7, 12, tzinfo=UTC)
        assert replayed.read(external()["fear_greed"])[("fear_greed", None)].value == 23
        note = replayed.read(external()["vix"])[("vix", None)].simulated
        assert note.startswith("recorded daily factors")


def test_errors_name_source_field_and_value(replayed):
    replayed.server.misbehave(Fault(path="/fng/", fault="range"))
    with pytest.raises(SourceFormatChanged, match=r"alternative/fng/: value is"):
        replayed.read(external()["fear_greed"])
    replayed.server.misbehave(Fault(path="/api/v1/fees/recommended", fault="strings"))
    with pytest.raises(SourceFormatChanged, match=r"mempool/api/v1/fees/recommended: \$\.fastestFee is '\d+'"):  # fmt: skip
        replayed.read(external()["btc_fees"])


def test_faults_are_set_over_http_as_well(replayed):
    base = f"http://127.0.0.1:{replayed.port}"
    said = httpx2.post(f"{base}/replay/faults", json={"path": "/fng/", "fault": "500", "times": 1})
    assert said.status_code == 200
    assert httpx2.get(f"{base}/fng/").status_code == 500
    assert json.loads(httpx2.get(f"{base}/fng/?limit=2").content)["data"][1]["value"]
    said = httpx2.post(f"{base}/replay/faults", json={"path": "/nothing", "fault": "500"})
    assert said.status_code == 400
