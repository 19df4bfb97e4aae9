"""A server: a booted machine with the stack's real units installed and trading."""

import json
import time

import pytest

from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.replay.pace import archive_days
from tests.integration.conftest import LOWERED
from tests.systemd.machine import PYTHON, Machine
from tests.systemd.share import Feeder, Share

SETTINGS = {
    "home": "/var/lib/dolphin",
    "manager": "systemd",
    "hazelcast_jar": "/opt/dolphin/hazelcast.jar",
    "scan_dir": "/mnt/share",
    "market_clock": "replay",
    "warm_up_days": 1,
    "safety_cool_down_s": 1,
    "source_off": "all",
    "mhs_sources": "scan,safety,state",
    "mhs_turn_s": 1,
    "mhs_grace_s": 10,
    "watchdog_s": 10,
    "reader_deadline_s": 2,
    **LOWERED,
}


class Server:
    """The machine, the share its bridge reads, and questions to the stack."""

    def __init__(self, machine: Machine, share: Share) -> None:
        self.machine, self.share = machine, share

    def unit(self, service: str) -> str:
        return f"dolphin-{service}.service"

    def show(self, service: str, name: str) -> str:
        return self.machine.show(self.unit(service), name)

    def pid(self, service: str) -> int:
        return int(self.show(service, "MainPID"))

    def systemctl(self, *words: str, **more):
        return self.machine.run("systemctl", *words, **more)

    def status(self) -> dict:
        done = self.machine.dolphin("status", "--json", check=False)
        return json.loads(done.stdout) if done.stdout else {}

    def is_trading(self) -> bool:
        status = self.status()
        return bool(status) and status["not_trading_because"] is None

    def scan_number(self) -> int:
        state = self.status().get("scan") or {}
        return state.get("number") or 0

    def history(self) -> dict:
        return json.loads(self.machine.dolphin("health", "history", "-n", "200", "--json").stdout)

    def events(self, target: str) -> list[str]:
        return [x["event"] for x in self.history()["ledger"] if x["action"]["target"] == target]

    def as_observer(self, script: str, check: bool = True):
        """Run Python as the user of meta health, as its unit would."""
        words = ("runuser", "-u", "dolphin-mhs", "--", PYTHON, "-c", script)
        return self.machine.run(*words, check=check)


def eventually(is_so, timeout_s, what):
    deadline = time.monotonic() + timeout_s
    while True:
        found = is_so()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what() if callable(what) else what}: not in time"
        time.sleep(0.25)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    scratch = tmp_path_factory.mktemp("server")
    scratch.chmod(0o755)
    with Share(scratch) as share, Feeder(share.source) as feeder:
        archive = scratch / "archive"
        archive_days(feeder.market, archive, feeder.first_us - DAY_US, feeder.first_us)
        binds = (
            f"--bind={share.mount}:/mnt/share",
            f"--bind={share.source}:/mnt/share-source",
            f"--bind-ro={archive}:/var/lib/dolphin/archive",
        )
        with Machine(scratch, *binds) as machine:
            text = "".join(f"DOLPHIN_{k.upper()}={v}\n" for k, v in SETTINGS.items())
            machine.write("/etc/dolphin/dolphin.env", text)
            machine.dolphin("systemd", "install")
            server = Server(machine, share)
            server.systemctl("start", "dolphin.target")
            eventually(server.is_trading, 90, lambda: str(server.status()))
            yield server
            share.release()
            (scratch / "services.log").write_text(
                machine.run("journalctl", "--no-pager", "-u", "dolphin-*").stdout
            )
            machine.run("sh", "-c", "cp -r /var/lib/dolphin/journal /mnt/share-source/left")
