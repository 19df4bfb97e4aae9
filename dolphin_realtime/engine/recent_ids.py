"""Ids of orders that ended recently: a core silently skips an order whose id it has seen."""

from collections import deque
from typing import Final

KEPT: Final = 5_000


class RecentIds:
    """The last KEPT ids."""

    def __init__(self) -> None:
        self._order: deque[str] = deque()
        self._ids: set[str] = set()

    def add(self, order_id: str) -> None:
        """Add an id, and drop the oldest one beyond KEPT."""
        self._order.append(order_id)
        self._ids.add(order_id)
        if len(self._order) > KEPT:
            self._ids.discard(self._order.popleft())

    def __contains__(self, order_id: str) -> bool:
        """Return whether an order with this id ended recently."""
        return order_id in self._ids
