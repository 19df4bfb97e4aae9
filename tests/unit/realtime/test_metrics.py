"""What a service tells Prometheus, and that a taken port stops nothing."""

import socket
import urllib.request

from dolphin_realtime.bench.stack import free_port
from dolphin_realtime.config.services import metrics_port
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.runtime.metrics import GAUGES, Figures, serve_metrics


def test_each_service_has_a_port_of_its_own():
    settings = Settings(metrics_port=9400, instances="BLUE,GREEN")
    names = ["hazelcast", "bridge", "safety", "orderbook", "meta-health", "alerter"]
    ports = [metrics_port(settings, name) for name in [*names, "trader@BLUE", "trader@GREEN"]]
    assert ports == [9400, 9401, 9402, 9403, 9404, 9405, 9410, 9411]
    assert metrics_port(settings, "trader@RED") is None
    assert metrics_port(Settings(metrics_port=0), "bridge") is None


def test_gauges_and_what_was_refused_are_told():
    figures = Figures(refused=lambda: {"bad_file": 3})
    figures.set("rm_meta", 0.5)
    figures.set("health_score", 1, sensor="m1_proc")
    settings = Settings(metrics_port=free_port())
    assert serve_metrics(settings, "hazelcast", figures) is None
    with urllib.request.urlopen(f"http://127.0.0.1:{settings.metrics_port}/metrics") as answer:
        text = answer.read().decode()
    assert 'dolphin_rm_meta{service="hazelcast"} 0.5' in text
    assert 'dolphin_health_score{sensor="m1_proc",service="hazelcast"} 1.0' in text
    assert 'dolphin_refused_total{reason="bad_file",service="hazelcast"} 3.0' in text
    for name in ("rm_meta", "health_score"):
        assert f"# HELP dolphin_{name} {GAUGES[name]}" in text


def test_a_taken_port_is_said_and_stops_nothing():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        why = serve_metrics(Settings(metrics_port=port), "hazelcast", Figures())
    assert why.startswith(f"port {port}: ")
