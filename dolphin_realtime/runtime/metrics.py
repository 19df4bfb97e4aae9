"""A service's Prometheus metrics, on a loopback port of its own.

Names and the endpoint belong here; a service only sets its gauges. The endpoint's own threads
answer scrapes, so that a scrape costs the service's event loop nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dolphin_realtime.config.services import metrics_port
from dolphin_realtime.config.settings import Settings

SLOW_ORDERS_S: Final = 0.01
"""Prometheus warns if the p99 from callback to last order is above this."""
GAUGES: Final = {
    "ready": "1 while the service does all of its work",
    "scans": "scans handled since the start",
    "scan_number": "number of the newest scan",
    "quarantined": "scan files that were put aside",
    "posture_rank": "0 NORMAL, 1 REDUCED, 2 CLOSE_ONLY, 3 HALTED",
    "size_multiplier": "what every new position is multiplied with",
    "rm_meta": "product of the five health sensors",
    "health_score": "score of one health sensor",
    "books": "assets with a usable order book",
    "equity_usdt": "cash and open profit of an instance",
    "positions": "open positions of an instance",
    "in_flight": "orders without an outcome",
    "fills": "fills since the start",
    "drawdown": "loss from the peak, a fraction",
    "order_latency_seconds": "from the callback to the last order, of the newest scans",
    "messages": "messages that receivers took since the start",
}
Labels = tuple[tuple[str, str], ...]


class Figures(msgspec.Struct):
    """A service's metrics; another thread reads the values.

    Attributes:
        gauges: Values by name and labels.
        refused: Returns what was refused or lost so far, by reason.
    """

    gauges: dict[tuple[str, Labels], float] = {}
    refused: Callable[[], Mapping[str, int]] = dict

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge of GAUGES."""
        self.gauges[(name, tuple(sorted(labels.items())))] = float(value)


class _Service(Collector):
    def __init__(self, name: str, figures: Figures) -> None:
        self._name, self._figures = name, figures

    def collect(self) -> Iterator[Metric]:
        families: dict[str, GaugeMetricFamily] = {}
        for (name, labels), value in dict(self._figures.gauges).items():
            names = ["service", *(label for label, _ in labels)]
            family = families.setdefault(
                name, GaugeMetricFamily(f"dolphin_{name}", GAUGES[name], labels=names)
            )
            family.add_metric([self._name, *(text for _, text in labels)], value)
        yield from families.values()
        lost = CounterMetricFamily(
            "dolphin_refused", "what was refused or lost, by reason", labels=["service", "reason"]
        )
        for reason, count in dict(self._figures.refused()).items():
            lost.add_metric([self._name, reason], count)
        yield lost


def serve_metrics(settings: Settings, service: str, figures: Figures) -> str | None:
    """Serve a service's metrics until it ends; return why that is impossible, else None.

    A service goes on without metrics: a port already in use is not a reason to stop.
    """
    port = metrics_port(settings, service)
    if port is None:
        return None
    registry = CollectorRegistry()
    registry.register(_Service(service, figures))
    ProcessCollector(registry=registry)
    try:
        start_http_server(port, "127.0.0.1", registry)
    except OSError as e:
        return f"port {port}: {e}"
    return None
