"""A live trader on a venue where nothing goes wrong, and where everything does."""

from tests.live.conftest import checked, ids_at, is_ours, sent_twice


async def test_what_is_journalled_is_what_the_venue_knows(scene):
    n_orders = 0
    for _ in range(15):
        plan = await scene.scan()
        n_orders += len(plan.orders)
        await scene.quiet()
    assert n_orders > 20
    assert len(ids_at(scene.served)) == n_orders
    assert all(map(is_ours, ids_at(scene.served)))
    assert sent_twice(scene.served) == set()
    assert scene.trader.booking.mismatch is None
    assert scene.trader.watch_live.found == []
    assert scene.trader.engine.watch.n_node_apart == 0
    checked(scene.home)
