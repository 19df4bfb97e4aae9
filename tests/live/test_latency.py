"""How long an order takes from the decision to the venue's socket; figures, no bound is asserted."""

import asyncio
import statistics
import time

from tests.integration.conftest import print_table

SCANS = 30


def quantiles(values):
    ordered = sorted(values)
    at = lambda q: ordered[min(len(ordered) - 1, int(q * len(ordered)))]  # noqa: E731
    return f"p50 {statistics.median(ordered):.1f} ms, p99 {at(0.99):.1f} ms, n {len(ordered)}"


async def test_from_the_decision_to_the_venues_socket(scene, capsys):
    handed, first, last = [], [], []
    for _ in range(SCANS):
        offset_ms = time.time() * 1000 - time.monotonic_ns() / 1e6
        began_ns = time.monotonic_ns()
        plan = await scene.scan()
        await scene.quiet()
        await asyncio.sleep(0.7)  # the venue takes 300 orders in 10 s
        if not plan.orders:
            continue
        number = f"{plan.orders[0].client_order_id.split('-')[0]}-"
        posts = [at for at, method, path, params in scene.served.venue.asked
                 if method == "POST" and path.endswith("/order") and number in params.get("newClientOrderId", "")]  # fmt: skip
        handed.append((plan.sent_ns[1] - began_ns) / 1e6)
        begun_ms = plan.sent_ns[0] / 1e6 + offset_ms
        first.append(min(posts) - begun_ms)
        last.append(max(posts) - begun_ms)
    assert len(first) > 10
    print_table(capsys, ("live, in one process with its venue", ""), [
        ("scan to last order handed over", quantiles(handed)),
        ("handed over to the venue's socket, first order", quantiles(first)),
        ("handed over to the venue's socket, last order", quantiles(last)),
    ])  # fmt: skip
