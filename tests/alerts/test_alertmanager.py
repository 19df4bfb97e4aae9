"""The alerter and a real Prometheus Alertmanager: what it holds is what is red; an outside watch is called."""

import asyncio
import json
import shutil
import subprocess
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest

from dolphin_realtime.bench.stack import free_port, wait_for
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.infra.ports import answers
from dolphin_realtime.runtime import alert_care
from dolphin_realtime.runtime.alert_care import CareLine
from dolphin_realtime.runtime.alert_log import Alert, write_alert
from dolphin_realtime.services.alerter import addresses
from dolphin_realtime.services.alerter.service import Alerter
from dolphin_realtime.services.alerter.targets import read_targets

CONFIG = """
route:
  receiver: nobody
  routes: [{{receiver: causes, group_wait: 1s, group_interval: 1s, matchers: ['cause=""']}}]
receivers:
  - name: nobody
  - name: causes
    webhook_configs: [{{url: 'http://127.0.0.1:{port}/hook', send_resolved: true}}]
"""


class Taker(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.taken += [(a["status"], a["labels"]) for a in body["alerts"]]
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        self.server.called.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def taker():
    with ThreadingHTTPServer(("127.0.0.1", 0), Taker) as server:
        server.taken, server.called = [], []
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def manager(tmp_path, taker):
    """A real Alertmanager that sends causes alone to a webhook; its port."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    assert program, "no Alertmanager: apt-get install prometheus-alertmanager"
    config, port = tmp_path / "alertmanager.yml", free_port()
    config.write_text(CONFIG.format(port=taker.server_port))
    command = [program, f"--config.file={config}", f"--storage.path={tmp_path / 'data'}",
               f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]  # fmt: skip
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:  # fmt: skip
        wait_for(lambda: answers(port, "/-/ready"), 20, (tmp_path / "log").read_text())
        yield port
        process.terminate()


def held(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/alerts") as answer:
        return {(a["labels"]["asset"], a["labels"]["alertname"]): a for a in json.load(answer)}


class Running:
    """An alerter's loop in a thread, until it is closed."""

    def __init__(self, home, text, repeat_s=0.0):
        (home / "targets").write_text(text)
        (home / "targets").chmod(0o600)
        self.context = SimpleNamespace(
            settings=Settings(home=home, alerts_repeat_s=repeat_s), counts={"undelivered": 0},
            figures=SimpleNamespace(set=lambda *_, **__: None), detail="", turn=lambda: None, ready=lambda: None,
            log=SimpleNamespace(info=lambda *_, **__: None, warning=lambda *_, **__: None),
        )  # fmt: skip
        self.home = home
        self.thread = Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    async def _run(self):
        self.context.stopping, self.loop = asyncio.Event(), asyncio.get_running_loop()
        await Alerter(self.context, read_targets(self.home / "targets")).run()

    def __enter__(self):
        self.thread.start()
        wait_for(lambda: hasattr(self, "loop"), 10, "the loop")
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.context.stopping.set)
        self.thread.join(20)


def alert(asset, check, state="red", why="it is away", ago=60):
    at = datetime.now(UTC) - timedelta(seconds=ago)
    return Alert(ts=at, asset=asset, check=check, state=state, facts={"why": why}, runbook="docs/runbook.md#x")  # fmt: skip


def test_what_is_red_is_held_with_its_cause_and_ends(tmp_path, manager, taker, monkeypatch):
    monkeypatch.setattr(addresses, "EVERY_S", 1.0)
    with Running(tmp_path, f"alertmanager://127.0.0.1:{manager}\n"):
        write_alert(tmp_path, alert("hazelcast", "service"))
        write_alert(tmp_path, alert("bridge", "is_alive"))
        wait_for(lambda: len(held(manager)) == 2, 30, "two alerts")
        labels = {key: one["labels"].get("cause") for key, one in held(manager).items()}
        assert labels == {("hazelcast", "service"): None, ("bridge", "is_alive"): "hazelcast service"}  # fmt: skip
        wait_for(lambda: bool(taker.taken), 30, "the webhook")
        for key in (("bridge", "is_alive"), ("hazelcast", "service")):
            write_alert(tmp_path, alert(*key, state="recovered", ago=0))
        wait_for(lambda: ("resolved" in {s for s, _ in taker.taken}) and not held(manager), 60, f"its end; {held(manager)}")  # fmt: skip
    assert {labels["asset"] for _, labels in taker.taken} == {"hazelcast"}, "causes alone"
    assert [status for status, _ in taker.taken][:1] == ["firing"]


def test_an_outside_watch_is_called_while_the_alerter_runs(tmp_path, taker, monkeypatch):
    monkeypatch.setattr(addresses, "EVERY_S", 1.0)
    with Running(tmp_path, f"heartbeat+http://127.0.0.1:{taker.server_port}/beat\n"):
        wait_for(lambda: len(taker.called) >= 3, 20, "three calls")
    n = len(taker.called)
    time.sleep(2.5)
    assert len(taker.called) == n
    assert set(taker.called) == {"/beat"}


def test_repeated_until_acknowledged_and_silent_while_silenced(tmp_path):
    """At a real receiver, a file: red, still red, nothing after an ack; nothing of what is silenced."""
    out = tmp_path / "out"

    def said():
        text = out.read_text() if out.exists() else ""
        return [line.split(",")[0] for line in text.splitlines() if ": run" in line or " run," in line]  # fmt: skip

    key = "daily_backtest 2025-05-12|BLUE"
    now = datetime.now(UTC)
    alert_care.add(tmp_path, CareLine(at=now, kind="silence", asset="paper_report *", check="*",
                                      until=now + timedelta(minutes=5), reason="known", by="olga"))  # fmt: skip
    with Running(tmp_path, f"file://{out}\n", repeat_s=3.0):
        one = alert(key, "run")
        write_alert(tmp_path, one)
        write_alert(tmp_path, alert("paper_report 2025-05-12|BLUE", "run"))
        wait_for(lambda: len(said()) >= 2, 30, "a repeated message")
        assert said()[:2] == [f"RED: {key} run", f"STILL RED: {key} run"]
        alert_care.add(tmp_path, CareLine(at=datetime.now(UTC), kind="ack", asset=key, check="run",
                                          episode=one.ts, reason="on it", by="olga"))  # fmt: skip
        time.sleep(1.5)
        n = len(said())
        time.sleep(5)
        assert len(said()) == n
        write_alert(tmp_path, alert(key, "run", state="recovered", ago=0))
        wait_for(lambda: said()[-1] == f"recovered: {key} run", 30, "the recovery")
    assert not any("paper_report" in line for line in said())
