"""How a run's time is spent: each part's own time, without that of the parts it calls."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any


class Stopwatch:
    """Times calls by part.

    Attributes:
        own_s: Seconds by part.
    """

    def __init__(self) -> None:
        self.own_s: defaultdict[str, float] = defaultdict(float)
        self._inner: list[float] = []

    def wrap(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``call`` wrapped so that its time counts for a part."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            began = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                took = time.perf_counter() - began
                self.own_s[part] += took - self._inner.pop()
                if self._inner:
                    self._inner[-1] += took

        return timed

    def iterate(self, part: str, items: Iterator[Any]) -> Iterator[Any]:
        """Yield the items; getting each one is timed as a part."""
        step = self.wrap(part, lambda: next(items, None))
        while (item := step()) is not None:
            yield item
