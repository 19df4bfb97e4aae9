"""Every service's figures on loopback, and that rules and dashboard name what is really there."""

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.config.loading import load
from dolphin_realtime.config.services import metrics_port

DEPLOY = Path("deploy")
SERVICES = ("hazelcast", "bridge", "safety", "orderbook", "meta-health", "alerter", "trader@BLUE")
FOREIGN = {"up"}
"""Made by Prometheus itself."""


def scrape(stack, service):
    port = metrics_port(load(stack.env), service)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()


def names_in(text):
    return set(re.findall(r"^(\w+)(?:\{|\s)", text, re.MULTILINE)) - {"HELP", "TYPE"}


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_tells_its_figures(stack, service):
    ready = f'dolphin_ready{{service="{service}"}} 1.0'
    wait_for(lambda: ready in scrape(stack, service), 60, f"{service} ready")
    assert "process_resident_memory_bytes" in scrape(stack, service)


def test_figures_are_served_on_loopback_alone(stack):
    listening = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=True).stdout
    port = metrics_port(load(stack.env), "trader@BLUE")
    assert {line.split()[3] for line in listening.splitlines() if f":{port} " in line} == {
        f"127.0.0.1:{port}"
    }


def test_rules_and_dashboard_name_what_is_there(stack):
    def is_there():
        return FOREIGN.union(*(names_in(scrape(stack, service)) for service in SERVICES))

    text = (DEPLOY / "prometheus/rules.yml").read_text()
    board = json.loads((DEPLOY / "grafana/dolphin.json").read_text())
    exprs = [t["expr"] for panel in board["panels"] for t in panel["targets"]]
    exprs += re.findall(r"expr: >?\s*(.+(?:\n\s+and .+)?)", text)
    named = set(re.findall(r"\b(?:dolphin|process)_\w+", " ".join(exprs)))
    assert len(named) > 10
    wait_for(lambda: named <= is_there(), 90, f"all of {sorted(named)}")


@pytest.mark.parametrize(
    "command",
    [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "rules.yml"],
        ["test", "rules", "rules_test.yml"],
    ],
    ids=" ".join,
)
def test_promtool_has_nothing_to_say(command):
    promtool = shutil.which("promtool")
    assert promtool, "no promtool on PATH: apt-get install prometheus"
    done = subprocess.run(
        [promtool, *command], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
