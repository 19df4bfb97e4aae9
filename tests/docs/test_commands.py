"""Every `dolphin` command of the documents is typed, on one running demo that trades live at a simulated venue.

A command that needs another machine, another market or root is named with the test that types it.
"""

import re
import shlex
import shutil
import subprocess
import sys

import pytest

from dolphin_realtime.bench.stack import Stack
from dolphin_realtime.model.instant import from_us
from tests.docs.written import ROOT, commands
from tests.integration.conftest import eventually
from tests.journals import rows

pytestmark = pytest.mark.timeout(400)
DAY = "2025-05-15"
GRID = f"from: {DAY}\nto: {DAY}\nwarm_up_days: 0\nscans: scans\ngrid:\n  band: [0.1, 0.25]\n"
FOLLOWED = -15  # a log that is followed until it is ended
RED = "the bridge is stopped"

TYPED = [  # the command as it is written, the exit status that it may have; in the order of a session
    ("dolphin status", 0), ("dolphin status --json", 0), ("dolphin", 2), ("dolphin health", (0, 1)),
    ("dolphin health --json", (0, 1)), ("dolphin health history", 0), ("dolphin scan show", 0),
    ("dolphin scan show --json", 0), ("dolphin scan check PATH", 0), ("dolphin factors", 0),
    ("dolphin posture", 0), ("dolphin posture show --json", 0), ("dolphin settings --changed", 0),
    ("dolphin settings example", 0), ("dolphin settings check dolphin.toml", 0),
    ("dolphin upgrade check", (0, 3)), ("dolphin journal check", 0), ("dolphin journal export", 0),
    ("dolphin journal export --out DIR", 0), ("dolphin report 2025-05-15 --open", 0),
    ("dolphin report DAY", 0), ("dolphin why", 0), ("dolphin why 14:03 BTCUSDT", 0),
    ("dolphin why 14:03:20 BTCUSDT", 0), ("dolphin why 2025-05-13 14:03:20 BTCUSDT --instance BLUE", 0),
    ("dolphin compare BLUE GREEN", 0), ("dolphin versus 2025-05-15", 0), ("dolphin versus DAY", 0),
    ("dolphin backtest", 0), ("dolphin backtest --scans var/archive --from DAY --to DAY --out DIR", 0),
    ("dolphin sweep", 0), ("dolphin sweep grid.yaml", 0), ("dolphin signals", 0),
    ("dolphin service trader TRY --scans … --inputs JOURNAL", 0),
    ("dolphin logs NAME -n LINES", 0), ("dolphin logs NAME -f", FOLLOWED), ("dolphin logs trader@BLUE -f", FOLLOWED),
    ("dolphin logs NAME", 0), ("dolphin logs hazelcast", 0),
    ("dolphin logs bridge", 0), ("dolphin logs scanner", 2), ("dolphin logs orderbook", 0),
    ("dolphin logs meta-health", 0), ("dolphin logs dagster-code", 0), ("dolphin logs trader@BLUE", 0),
    ("dolphin live check", 0), ("dolphin live replay", 0), ("dolphin live replay DAY", 0),
    ("dolphin live replay 2025-05-15", 0),
    ('dolphin maintenance on --reason "…" --for 30m', 0), ("dolphin maintenance on --reason … --for 30m", 0),
    ("dolphin posture set HALTED", 0), ('dolphin posture set HALTED --reason "…"', 0), ('dolphin resume --reason "…"', 0),
    ('dolphin posture set HALTED --reason "trying it"', 0), ('dolphin resume --reason "tried"', 0),
    ("dolphin posture set CLOSE_ONLY --reason upgrade", 0), ("dolphin posture set CLOSE_ONLY --reason journal", 0),
    ("dolphin posture set CLOSE_ONLY --reason TEXT", 0),
    ('dolphin posture set NORMAL --reason "upgraded"', 0), ("dolphin resume", 0),
    ("dolphin restart alerter", 0), ("dolphin restart NAME", 0),
    ("dolphin restart trader@BLUE", 0), ("dolphin restart dagster-code", 0),
    ("dolphin restart dagster-daemon", 0), ("dolphin restart hazelcast", 0),
    ("dolphin stop", 0), ("dolphin start hazelcast", 0), ("dolphin start orderbook", 0),
    ("dolphin start meta-health", 0), ("dolphin start scanner", 3),
    ("dolphin stop bridge", 0), (RED, 0), ("dolphin alerts", 1),
    ('dolphin alerts ack bridge is_alive --reason "on it"', 0), ("dolphin alerts ack", 0),
    ('dolphin alerts ack ASSET CHECK --reason "…"', 0),
    ("dolphin alerts silence 'scan_archive *' '*' --for 2h --reason \"NG6 is moved\"", 0),
    ("dolphin alerts lift 'scan_archive *' '*' --reason \"moved\"", 0), ("dolphin alerts test", 0),
    ("dolphin start bridge", 0), ("dolphin flatten", 0), ('dolphin flatten --reason "…"', 0),
    ("dolphin live panic", 0), ("dolphin live panic --flatten", 0), ("dolphin down", 0),
]  # fmt: skip

ELSEWHERE = {  # what needs another machine, market or account: the test that types it
    r"dolphin( live)? …|dolphin start/stop/restart NAME|dolphin live|dolphin backtest …": "",  # words for a group
    r"dolphin up": "tests/integration/test_start_errors.py",
    r"dolphin up --scanner": "tests/scanner/test_scanner.py",
    r"dolphin up --demo( --live --for 300)?": "tests/docs/test_commands.py",
    r"dolphin up --demo --world NAME": "tests/worlds/test_operator.py",
    r"dolphin up --live --i-understand-this-trades-real-money": "tests/integration/test_start_errors.py",
    r"dolphin live (setup|raise|adopt)( .*)?": "tests/live/test_stack.py",
    r"dolphin position.*": "tests/worlds/test_operator.py",
    r"dolphin systemd.*": "tests/systemd/conftest.py",
    r"dolphin nginx .*": "tests/production/door.py",
    r"dolphin bench .*": "tests/backtest",
}

OTHERS = {  # what a written command lacks; GREEN is the instance that trades on paper
    "dolphin why 14:03 BTCUSDT": "dolphin why 14:03 BTCUSDT --instance GREEN",
    "dolphin why 14:03:20 BTCUSDT": "dolphin why 14:03:20 BTCUSDT --instance GREEN",
    "dolphin why 2025-05-13 14:03:20 BTCUSDT --instance BLUE": "dolphin why DAY TIME BTCUSDT --instance GREEN",
    "dolphin posture set HALTED": "dolphin posture set HALTED --reason tried",
    "dolphin": "dolphin --nothing-of-that-name",
    "dolphin journal export": "dolphin journal export --out DIR",
    "dolphin why": "dolphin why TIME BTCUSDT --instance GREEN",
    "dolphin backtest": "dolphin backtest --scans PATH --from DAY --to DAY --out DIR",
    "dolphin sweep": "dolphin sweep grid.yaml",
    "dolphin signals": "dolphin signals PATH --out DIR/signals.parquet",
    "dolphin live replay": "dolphin live replay DAY",
    "dolphin stop": "dolphin stop orderbook",
    "dolphin alerts ack": "dolphin alerts ack bridge is_alive --reason tried",
    "dolphin flatten": "dolphin flatten --reason tried",
    "dolphin resume": "dolphin resume --reason tried",
    "dolphin live panic": "dolphin live panic --reason tried",
    "dolphin live panic --flatten": "dolphin live panic --flatten --reason tried",
    'dolphin alerts ack ASSET CHECK --reason "…"': "dolphin alerts ack bridge is_alive --reason tried",
}


def elsewhere(command):
    found = [place for pattern, place in ELSEWHERE.items() if re.fullmatch(pattern, command)]
    return found[0] if found else None


def test_every_command_of_the_documents_is_typed_here_or_elsewhere():
    written = {c for c in commands() if c.startswith("dolphin")}
    typed = {command for command, _ in TYPED} - {RED}
    assert {c for c in written - typed if elsewhere(c) is None} == set()
    assert typed <= written, "no longer written"
    assert all((ROOT / place).exists() for place in ELSEWHERE.values())


class Session:
    """A demo and a person at a second terminal."""

    def __init__(self, stack, folder):
        self.stack, self.folder = stack, folder
        at = self.acted_on()
        self.words = {
            "…": "tried", "DAY": DAY, "2025-05-13": DAY, "PATH": str(stack.home / "scans"), "DIR": str(folder),
            "var/archive": str(stack.home / "scans"), "NAME": "orderbook", "LINES": "5", "TIME": f"{at:%H:%M:%S}",
            "14:03:20": f"{at:%H:%M:%S}", "14:03": f"{at:%H:%M}", "JOURNAL": str(stack.home / "journal/BLUE"),
            "TEXT": "tried", "DIR/signals.parquet": str(folder / "signals.parquet"),
        }  # fmt: skip
        (folder / "grid.yaml").write_text(
            GRID.replace("scans: scans", f"scans: {stack.home / 'scans'}")
        )
        (folder / "alerts").write_text(f"file://{folder / 'alerts.jsonl'}\n")
        (folder / "alerts").chmod(0o600)

    def acted_on(self):
        text = "SELECT timestamp_us FROM equity WHERE is_acted_on ORDER BY rowid LIMIT 1 OFFSET 20"
        return from_us(rows(self.stack.home / "journal" / "GREEN", text)[0][0])

    def type(self, command):
        bare = shlex.split(OTHERS.get(command, command))[1:]
        words = [self.words.get(word, word) for word in bare]
        if command.startswith("dolphin service trader"):
            words[words.index("tried")] = self.words["PATH"]
        env = {**self.stack.env, "BROWSER": "true", "COLUMNS": "160"}
        command = [sys.executable, "-m", "dolphin_realtime.cli", *words]
        log = self.folder / "typed.log"
        with log.open("w") as out:
            typed = subprocess.Popen(command, cwd=self.folder, env=env, stdout=out, stderr=out)
            if "-f" in words:
                eventually(lambda: log.stat().st_size, 30.0, "a line")
                typed.terminate()
            status = typed.wait(timeout=180)
        if command[-2:] == ["settings", "example"]:
            shutil.copy(log, self.folder / "dolphin.toml")
        return status, log.read_text()


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("typed")
    settings = {"instances": "BLUE,GREEN", "alerts_file": str(folder / "alerts")}
    (folder / "alerts").write_text(f"file://{folder / 'alerts.jsonl'}\n")
    (folder / "alerts").chmod(0o600)
    with Stack(folder / "home", "--demo", "--live", **settings) as stack:
        stack.settle()
        eventually(
            lambda: len(rows(stack.home / "journal" / "BLUE", "SELECT 1 FROM fills")) > 20,
            120.0,
            "fills",
        )
        yield Session(stack, folder)


@pytest.mark.parametrize(("command", "status"), TYPED, ids=[c for c, _ in TYPED])
def test_it_ends_as_it_should(session, command, status):
    if command == RED:
        eventually(lambda: "bridge" in session.type("dolphin alerts")[1], 120.0, "the alert", 1.0)
        return
    ended, said = session.type(command)
    allowed = status if isinstance(status, tuple) else (status,)
    assert ended in allowed, f"exit {ended}\n{said[-2000:]}"
    assert "Traceback" not in said
