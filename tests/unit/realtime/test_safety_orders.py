"""Manual orders survive everything, and a doubtful line counts as a HALT."""

from datetime import UTC, datetime

import pytest

from dolphin_realtime.model.posture import Posture
from dolphin_realtime.safety.orders import OrderLedger, order_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def halt():
    return order_of({"action": "set", "level": "halted", "reason": "r", "who": "op"}, NOW)


def reread(path):
    ledger = OrderLedger(path)
    ledger.close()
    return ledger.standing


def test_an_order_stands_until_it_is_taken_back(tmp_path):
    path = tmp_path / "ledger.jsonl"
    assert reread(path) is None
    ledger = OrderLedger(path)
    ledger.add(halt())
    assert reread(path).posture is Posture.HALTED
    ledger.add(order_of({"action": "resume", "reason": "r"}, NOW))
    assert reread(path).posture is Posture.NORMAL
    ledger.close()


def test_an_order_after_a_torn_line_is_not_lost(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"action":"se')
    ledger = OrderLedger(path)
    assert ledger.standing.posture is Posture.HALTED
    assert "unreadable" in ledger.standing.reason
    ledger.add(order_of({"action": "set", "level": "REDUCED", "reason": "r"}, NOW))
    ledger.close()
    assert reread(path).posture is Posture.REDUCED


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ({"action": "set", "level": "NORMAL"}, "reason"),
        ({"action": "set", "level": "RELAXED", "reason": "r"}, "no posture"),
        ({"action": "dance", "reason": "r"}, "unknown action"),
    ],
)
def test_a_wrong_request_is_refused(request_, word):
    with pytest.raises(ValueError, match=word):
        order_of(request_, NOW)
