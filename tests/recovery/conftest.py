"""A stack under the local runner as a `Host`, with a meta health that turns quickly."""

import json
import os
import threading

import pytest

from dolphin_realtime.config.loading import load
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid import maps
from dolphin_realtime.ops.managers.local import LocalManager
from dolphin_realtime.services.meta_health.files import LedgerLine, ledger_path, read_ledger
from tests.integration.conftest import COMMAND_S, Desk, eventually, make_desk

QUICK = {
    "mhs_turn_s": 0.5,
    "mhs_grace_s": 8,
    "watchdog_s": 10,
    "start_limit_burst": 3,
    "start_limit_interval_s": 60,
    "restart_pause_s": 1,
}


class LocalHost:
    """A desk's stack, fed once a second."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.manager = LocalManager(desk.stack.home)
        self._ending = threading.Event()
        self._fed = threading.Event()
        self._fed.set()
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._before = 0
        self._restarts: dict[str, int] = {}

    def __enter__(self) -> "LocalHost":
        self._thread.start()
        return self

    def _feed(self) -> None:
        while not self._ending.wait(1.0):
            if self._fed.is_set():
                self.desk.feed(1, wait=False)

    def starve(self) -> None:
        self._fed.clear()

    def feed(self) -> None:
        self._fed.set()

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(10)
        self.desk.close()

    @property
    def settings(self) -> Settings:
        return load({k: v for k, v in self.desk.stack.env.items() if k.startswith("DOLPHIN_")})

    def pid(self, service: str) -> int:
        return self.desk.stack.service(service).pid or 0

    def pids(self) -> dict[str, int | None]:
        return {s.name: s.pid for s in self.desk.stack.services()}

    def state(self, service: str) -> str:
        return self.desk.stack.service(service).state

    def kill(self, service: str, number) -> None:
        os.kill(self.pid(service), number)

    def manage(self, verb: str, service: str) -> None:
        getattr(self.manager, verb)(service)

    def command(self, verb: str, service: str) -> None:
        done = self.desk.cli(verb, service)
        assert done.returncode == 0, done.stderr

    def ledger(self) -> list[LedgerLine]:
        """Return what was written since the test began."""
        return self._whole_ledger()[self._before :]

    def _whole_ledger(self) -> list[LedgerLine]:
        return read_ledger(ledger_path(self.settings))[0]

    def restarts(self, service: str) -> int:
        """Return the starts since the test began that nobody asked for."""
        return self.desk.stack.service(service).restarts - self._restarts[service]

    def begin_again(self) -> None:
        for service in self.desk.stack.services():
            if service.state == "stopped":
                self.command("start", service.name)
            self.manage("reset_failed", service.name)
        self.trades_on()
        eventually(lambda: self.health().get("status") == "GREEN", 60, self.health)
        self._before = len(self._whole_ledger())
        self._restarts = {s.name: s.restarts for s in self.desk.stack.services()}

    def events(self, service: str) -> list[str]:
        return [line.event for line in self.ledger() if line.action.target == service]

    def status(self) -> dict:
        return json.loads(self.desk.cli("status", "--json").stdout or "{}")

    def health(self) -> dict:
        return self.desk.document(maps.META_HEALTH, maps.LATEST) or {}

    def scan_number(self) -> int:
        return (self.desk.document(maps.FEATURES, maps.LATEST_SCAN) or {}).get("scan_number", 0)

    def trades_on(self) -> None:
        before = self.scan_number()
        eventually(lambda: self.scan_number() > before + 1, 60, "scans that are carried")
        eventually(
            lambda: self.status().get("not_trading_because", "no status") is None,
            60,
            self.status,
            COMMAND_S,
        )

    def turns(self, n: int) -> None:
        """Return after meta health has published so many documents."""
        for _ in range(n):
            last = self.health().get("timestamp")
            eventually(lambda last=last: self.health().get("timestamp") != last, 30, "a turn")


def host_of(home, **settings) -> LocalHost:
    return LocalHost(make_desk(home, **{**QUICK, **settings}))


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    host = host_of(tmp_path_factory.mktemp("shared") / "home")
    with host.desk.stack, host:
        yield host


@pytest.fixture
def host(shared):
    """A stack that trades, its health GREEN, its start counters and ledger as if new."""
    shared.begin_again()
    return shared
