"""A server: a booted machine with the stack's real units installed and trading."""

import json
from functools import partial

import pytest

from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.replay.pace import archive_days
from tests.integration import conftest as looks
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
    "alerts_file": "/etc/dolphin/credentials/alerts",
    "viewer_port": 3071,
    "mhs_sources": "scan,safety,state",
    "mhs_turn_s": 1,
    "mhs_grace_s": 10,
    "watchdog_s": 10,
    "reader_deadline_s": 2,
    **LOWERED,
}
TOLD = "/var/lib/dolphin/told"
RECEIVER = f"mkdir -p /etc/dolphin/credentials; echo file://{TOLD} >{SETTINGS['alerts_file']}"
INSTALL = f"{PYTHON} -m dolphin_realtime.cli systemd install"

eventually = partial(looks.eventually, every_s=looks.COMMAND_S)
"""Every look into the machine is a command."""


class Server:
    """The machine, the share its bridge reads, and questions to the stack; a `Host`."""

    def __init__(self, machine: Machine, share: Share) -> None:
        self.machine, self.share = machine, share

    def unit(self, service: str) -> str:
        return f"dolphin-{service}.service"

    def show(self, service: str, name: str) -> str:
        return self.machine.show(self.unit(service), name)

    def pid(self, service: str) -> int:
        return int(self.show(service, "MainPID"))

    def state(self, service: str) -> str:
        word = self.show(service, "ActiveState")
        return {"active": "running", "inactive": "stopped"}.get(word, word)

    def kill(self, service: str, number) -> None:
        self.machine.run("kill", f"-{int(number)}", str(self.pid(service)), check=False)

    def manage(self, verb: str, service: str) -> None:
        """Do as meta health does: its user, its manager, through polkit."""
        self.as_observer(
            "from dolphin_realtime.ops.managers.systemd import SystemdManager\n"
            f"SystemdManager().{verb}({service!r})"
        )

    def command(self, verb: str, service: str) -> None:
        self.machine.dolphin(verb, service)

    def systemctl(self, *words: str, **more):
        return self.machine.run("systemctl", *words, **more)

    def status(self) -> dict:
        done = self.machine.dolphin("status", "--json", check=False)
        return json.loads(done.stdout) if done.stdout else {}

    def is_trading(self) -> bool:
        status = self.status()
        return bool(status) and status["not_trading_because"] is None

    def scan_number(self) -> int:
        scan = self.status().get("scan") or {}
        return scan.get("number") or 0

    def trades_on(self) -> None:
        before = self.scan_number()
        eventually(lambda: self.scan_number() > before + 2, 60, "scans that are carried")
        eventually(self.is_trading, 60, lambda: str(self.status().get("not_trading_because")))

    def history(self) -> dict:
        return json.loads(self.machine.dolphin("health", "history", "-n", "200", "--json").stdout)

    def events(self, service: str) -> list[str]:
        return [x["event"] for x in self.history()["ledger"] if x["action"]["target"] == service]

    def turns(self, n: int) -> None:
        """Return after meta health has written so many documents."""
        path = "/var/lib/dolphin/run_logs/meta_health.json"
        for _ in range(n):
            last = self.machine.read(path)
            eventually(lambda last=last: self.machine.read(path) != last, 30, "a turn")

    def as_observer(self, script: str, check: bool = True):
        """Run Python as the user of meta health, as its unit would."""
        words = ("runuser", "-u", "dolphin-mhs", "--", PYTHON, "-c", script)
        return self.machine.run(*words, check=check)


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
            machine.run("sh", "-c", f"umask 077; {RECEIVER}; {INSTALL}")
            server = Server(machine, share)
            server.systemctl("start", "dolphin.target")
            eventually(server.is_trading, 90, lambda: str(server.status()))
            yield server
            share.release()
            (scratch / "services.log").write_text(
                machine.run("journalctl", "--no-pager", "-u", "dolphin-*").stdout
            )
            machine.run("sh", "-c", "cp -r /var/lib/dolphin/journal /mnt/share-source/left")
