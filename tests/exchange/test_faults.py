"""Each fault of the venue: what a client gets, and what is true all the same."""

import hashlib
import hmac
import time
from urllib.parse import urlencode

import httpx2
import pytest

from dolphin_realtime.replay.exchange.faults import REQUEST_FAULTS
from tests.exchange.conftest import KEY, SECRET

ORDER = "/fapi/v1/order"


def ask(served, method="POST", path=ORDER, in_body=False, at_ms=None, timeout_s=5.0, **params):
    """Send a signed request, its parameters in the query or in the body."""
    if (method, path) == ("POST", ORDER):
        params = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.2"} | params
    params["timestamp"] = round(time.time() * 1000) if at_ms is None else at_ms
    text = urlencode(params)
    text += "&signature=" + hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    url, body = f"{served.url}{path}", text if in_body else None
    if not in_body:
        url += f"?{text}"
    headers = {"X-MBX-APIKEY": KEY, "Content-Type": "application/x-www-form-urlencoded"}
    return httpx2.request(method, url, content=body, headers=headers, timeout=timeout_s)


CASES = {
    "code": ({"code": -1001}, 500, 0), "code_after": ({"code": -1000}, 400, 1),
    "status": ({"status": 403, "body": "<html>no</html>"}, 403, 0),
    "status_after": ({"status": 503, "body": ""}, 503, 1),
    "late": ({"status": 503, "seconds": 0.3}, 503, 1),
    "hang": ({"seconds": 0.3}, 200, 1), "silence": ({"seconds": 9.0}, None, 1),
    "cut": ({}, None, 0), "cut_after": ({}, None, 1),
}  # fmt: skip


def test_every_fault_has_its_case():
    assert CASES.keys() == REQUEST_FAULTS.keys()


@pytest.mark.parametrize("kind", CASES)
def test_a_fault_is_what_the_client_gets_and_the_truth_is_what_happened(served, kind):
    fields, status, n_orders = CASES[kind]
    served.ctl("fault", kind=kind, path=ORDER, method="POST", **fields)
    if status is None:
        with pytest.raises(httpx2.TransportError):
            ask(served, timeout_s=1.0)
    else:
        assert ask(served).status_code == status
    deadline = time.monotonic() + 5.0
    while len(served.truth()["orders"]) < n_orders and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(served.truth()["orders"]) == n_orders
    assert ask(served).status_code == 200, "once, as it was asked for"


def test_parameters_in_a_body_are_signed_as_well(served):
    assert ask(served, in_body=True).status_code == 200
    assert served.truth()["positions"] == {"BTCUSDT": "0.2"}


def test_after_and_times_count_what_would_fail(served):
    served.ctl("fault", kind="code", code=-1001, path=ORDER, after=1, times=2)
    assert [ask(served).status_code for _ in range(4)] == [200, 500, 500, 200]
    served.ctl("fault", kind="code", code=-1001, times=9)
    served.ctl("clear")
    assert ask(served).status_code == 200


def test_an_order_is_unknown_for_a_while_and_then_there(served):
    served.ctl("set", hidden_s=0.4)
    ask(served, newClientOrderId="mine")
    found = {"symbol": "BTCUSDT", "origClientOrderId": "mine"}
    order_id = served.truth()["orders"][0]["orderId"]
    assert ask(served, "GET", **found).json()["code"] == -2013
    by_id = ask(served, "GET", symbol="BTCUSDT", orderId=order_id)
    assert by_id.json()["code"] == -2013
    deadline = time.monotonic() + 5.0
    while ask(served, "GET", **found).status_code != 200:
        assert time.monotonic() < deadline
    assert ask(served, "GET", **found).json()["status"] == "FILLED"


@pytest.mark.parametrize(("shift_ms", "status"), [
    (0, 200), (-4000, 200), (-5500, 400), (900, 200), (1500, 400),
])  # fmt: skip
def test_a_request_is_of_now(served, shift_ms, status):
    answer = ask(served, at_ms=round(time.time() * 1000) + shift_ms)
    assert answer.status_code == status
    assert status == 200 or answer.json()["code"] == -1021


def test_a_ban_ends_and_says_when(served):
    served.ctl("ban", seconds=60)
    answer = ask(served)
    assert (answer.status_code, answer.json()["code"]) == (418, -1003)
    assert 55 <= int(answer.headers["Retry-After"]) <= 61
    served.ctl("clear")
    assert ask(served).status_code == 200


def test_weights_and_orders_are_counted_and_bounded(served):
    first = ask(served, "GET", "/fapi/v2/account")
    again = ask(served, "GET", "/fapi/v2/account")
    used = [int(a.headers["X-MBX-USED-WEIGHT-1M"]) for a in (first, again)]
    assert used[1] - used[0] in (5, 5 - used[0])


def used_up(served):
    """Ask until the minute's weight is used; return the first answer that is no success."""
    while True:
        served.venue.budget._weight = 2400
        answer = ask(served, "GET", "/fapi/v2/account")
        if answer.status_code != 200:  # it is one where a minute began in between
            return answer


def test_over_the_limit_it_is_429_and_who_goes_on_is_banned(served):
    answer = used_up(served)
    assert (answer.status_code, answer.json()["code"]) == (429, -1003)
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    statuses = set()
    for _ in range(60):
        statuses.add(used_up(served).status_code)
        if 418 in statuses:
            break
    assert statuses == {429, 418}


@pytest.mark.parametrize("part", ["rest", "stream", "ws_api"])
def test_a_part_is_away_by_itself(served, part):
    served.ctl("away", parts=[part])
    if part == "rest":
        with pytest.raises(httpx2.TransportError):
            ask(served)
    else:
        assert ask(served).status_code == 200
        path = {"stream": "/ws?listenKey=x", "ws_api": "/ws-fapi/v1"}[part]
        with pytest.raises(httpx2.TransportError):
            httpx2.get(f"{served.url}{path}")
    served.ctl("away", parts=[])
    assert ask(served).status_code == 200


def test_what_is_taken_from_a_book_is_gone_until_it_moves(served):
    for _ in range(3):
        ask(served, quantity="1.0")
    orders = served.truth()["orders"]
    assert [o["status"] for o in orders] == ["FILLED", "FILLED", "EXPIRED"]
    assert [float(o["executedQty"]) for o in orders] == [1.0, 1.0, 0.5]
    served.books.move()
    ask(served, quantity="1.0")
    assert served.truth()["orders"][-1]["status"] == "FILLED"


def test_a_limit_order_fills_when_the_book_comes_to_it(served):
    ask(served, type="LIMIT", price="59000", timeInForce="GTC", newClientOrderId="rest")
    ask(served, type="LIMIT", price="59000", timeInForce="IOC", newClientOrderId="now")
    found = {o["clientOrderId"]: o["status"] for o in served.truth()["orders"]}
    assert found == {"rest": "NEW", "now": "EXPIRED"}
    served.books.move("BTCUSDT", 58_000.0)
    deadline = time.monotonic() + 5.0
    while served.truth()["orders"][0]["status"] != "FILLED":
        assert time.monotonic() < deadline
    assert float(served.truth()["trades"][0]["price"]) == 58_005.8


def test_a_countdown_cancels_what_rests(served):
    ask(served, type="LIMIT", price="50000", timeInForce="GTC")
    ask(served, "POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime="200")
    deadline = time.monotonic() + 5.0
    while served.truth()["orders"][0]["status"] != "CANCELED":
        assert time.monotonic() < deadline
    ask(served, type="LIMIT", price="50000", timeInForce="GTC")
    time.sleep(0.3)
    assert served.truth()["orders"][1]["status"] == "NEW", "it counts down once"


def test_fees_are_paid_in_bnb_while_there_is_any(served):
    served.ctl("mode", account="one", burns_bnb=True)
    ask(served)
    (trade,) = served.truth()["trades"]
    assert trade["commissionAsset"] == "BNB"
    assert float(trade["commission"]) == pytest.approx(0.2 * 60_006 * 5e-4 * 0.9 / 600, rel=1e-6)
    served.ctl(
        "transfer", account="one", asset="BNB", amount=f"-{served.truth()['wallets']['BNB']}"
    )
    ask(served)
    assert served.truth()["trades"][-1]["commissionAsset"] == "USDT"


def test_a_client_id_is_unique_among_living_orders_alone(served):
    assert ask(served, newClientOrderId="same").status_code == 200
    assert ask(served, newClientOrderId="same").status_code == 200
    rest = {"type": "LIMIT", "price": "50000", "timeInForce": "GTC", "newClientOrderId": "rest"}
    assert ask(served, **rest).status_code == 200
    assert ask(served, **rest).json()["code"] == -4116


def test_everything_says_that_it_is_simulated_and_lies_on_loopback(served):
    assert ask(served).headers["X-Dolphin-Simulated"] == "loopback venue"
    assert served.url.startswith("http://127.0.0.1:")
    asked = httpx2.get(f"{served.url}/ctl/asked").json()
    assert [(a[1], a[2]) for a in asked] == [("POST", ORDER)]
