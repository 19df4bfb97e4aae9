"""The table of what a real venue's state calls for: each bound, and what is on either side of it."""

import msgspec
import pytest

from dolphin_realtime.model.portfolio.venue_account import Cause
from dolphin_realtime.model.risk.live_findings import Finding, LiveFacts, OutsideTrade, findings
from dolphin_realtime.model.risk.posture import Posture

CALM = LiveFacts(equity=10_000.0)
C, H, R = Posture.CLOSE_ONLY, Posture.HALTED, Posture.REDUCED


def outside(cause, age_s=0.0):
    return (OutsideTrade(asset="A", cause=cause, age_s=age_s),)


ROWS = [
    ({}, []),
    ({"unknown_s": (30.0,) * 3}, []),
    ({"unknown_s": (0.0,) * 4}, [("ORDER_UNKNOWN", None)]),
    ({"unknown_s": (30.1,)}, [("ORDER_UNKNOWN", None)]),
    ({"unknown_s": (120.0,)}, [("ORDER_UNKNOWN", None)]),
    ({"unknown_s": (120.1,)}, [("ORDER_UNKNOWN", C)]),
    ({"outside": outside(Cause.FOREIGN, 9e9)}, [("OUTSIDE", C)]),
    ({"outside": outside(Cause.LATE)}, [("OUTSIDE", C)]),
    ({"outside": outside(Cause.ADL, 899.0)}, [("OUTSIDE", C)]),
    ({"outside": outside(Cause.ADL, 900.0)}, []),
    ({"outside": outside(Cause.LIQUIDATION, 9e9)}, [("OUTSIDE", C)]),
    ({"outside": outside(Cause.SETTLEMENT, 9e9)}, [("OUTSIDE", C)]),
    ({"apart": ("A: ledger 1, venue 2",)}, [("LEDGER_APART", H)]),
    ({"book_apart": ("A",)}, [("BOOK_APART", H)]),
    ({"unplaced_s": 2.0}, []),
    ({"unplaced_s": 2.1}, [("TRADE_UNPLACED", None)]),
    ({"unplaced_s": 60.1}, [("TRADE_UNPLACED", C)]),
    ({"node_away": "ended"}, [("NODE_AWAY", C)]),
    ({"wallet_apart": 0.01, "wallet_apart_s": 99.0}, []),
    ({"wallet_apart": 0.02, "wallet_apart_s": 59.0}, []),
    ({"wallet_apart": 0.02, "wallet_apart_s": 60.0}, [("WALLET_APART", R)]),
    ({"wallet_apart": 10.0, "wallet_apart_s": 60.0}, [("WALLET_APART", R)]),
    ({"wallet_apart": 10.1}, [("WALLET_APART", C)]),
    ({"stream_lost_s": 5.0}, []),
    ({"stream_lost_s": 5.1}, [("VENUE_STREAM", None)]),
    ({"stream_lost_s": 60.1}, [("VENUE_STREAM", C)]),
    ({"node_stream_lost_s": 60.0}, []),
    ({"node_stream_lost_s": 60.1}, [("NODE_STREAM", None)]),
    ({"unanswered": 2}, []),
    ({"unanswered": 3}, [("VENUE_AWAY", None)]),
    ({"blocked_s": 0.1}, [("VENUE_BLOCKED", None)]),
    ({"clock_ms": 500.0}, []),
    ({"clock_ms": 500.1}, [("VENUE_CLOCK", None)]),
    ({"wrong_modes": ("positions are two-way",)}, [("ACCOUNT_MODE", H)]),
    ({"refused": -2015}, [("KEY_REFUSED", H)]),
    ({"refused": -1022}, [("KEY_REFUSED", H)]),
    ({"refused": -1021}, []),
    ({"wrong_leverage": ("A",)}, [("LEVERAGE", None)]),
    ({"margin": 0.3}, []),
    ({"margin": 0.31}, [("MARGIN", R)]),
    ({"margin": 0.51}, [("MARGIN", C)]),
    ({"node_apart": ("A", "B", "C")}, []),
    ({"node_apart": ("A", "B", "C", "D")}, [("NODE_APART", None)]),
]


@pytest.mark.parametrize(("facts", "wanted"), ROWS)
def test_each_row_at_its_bound(facts, wanted):
    found = findings(msgspec.structs.replace(CALM, **facts))
    assert [(f.code, f.posture) for f in found] == wanted
    assert all(f.why for f in found)


def test_one_finding_hides_no_other():
    facts = LiveFacts(apart=("A",), stream_lost_s=6.0, unknown_s=(121.0,), margin=0.9)
    assert {f.code for f in findings(facts)} == {
        "LEDGER_APART", "VENUE_STREAM", "ORDER_UNKNOWN", "MARGIN"
    }  # fmt: skip
    assert isinstance(findings(facts)[0], Finding)
