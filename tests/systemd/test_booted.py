"""The stack's real units under a real systemd: limits, kills, a fork bomb, restarts, a hang."""

import pytest

from tests.recovery import contract
from tests.systemd.conftest import SETTINGS, TOLD, eventually
from tests.systemd.machine import PYTHON

pytestmark = pytest.mark.timeout(180)
SERVICES = ("hazelcast", "bridge", "safety", "trader@BLUE", "meta-health", "dagster-code",
            "dagster-webserver", "dagster-viewer", "dagster-daemon", "alerter")  # fmt: skip
BOMB = """
import errno, os, signal, time
os.setpgid(0, 0)
open("{group}/cgroup.procs", "w").write(str(os.getpid()))
born = refused = 0
for _ in range(100):
    try:
        if os.fork() == 0:
            time.sleep(60); os._exit(0)
        born += 1
    except OSError as e:
        refused += e.errno == errno.EAGAIN
print(born, refused, flush=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.killpg(0, signal.SIGKILL)
"""


def running(server):
    return {name: server.state(name) for name in SERVICES}


def group(server, service, controller):
    return f"/sys/fs/cgroup/{controller}{server.show(service, 'ControlGroup')}"


def test_every_unit_of_the_stack_runs_as_an_unprivileged_user(server):
    assert set(running(server).values()) == {"running"}
    for name in SERVICES:
        user = server.machine.run("stat", "-c", "%U", f"/proc/{server.pid(name)}").stdout.strip()
        assert user == ("dolphin-mhs" if name == "meta-health" else "dolphin"), name
    assert server.show("trader@BLUE", "NRestarts") == "0"


def test_the_limits_are_really_in_the_units_cgroups(server):
    for name, tasks, memory in (("trader@BLUE", 50, 2048), ("bridge", 50, 512),
                                ("hazelcast", 200, 1536), ("dagster-code", 300, 4096)):  # fmt: skip
        assert server.machine.read(f"{group(server, name, 'pids')}/pids.max").strip() == str(tasks)
        held = server.machine.read(f"{group(server, name, 'memory')}/memory.limit_in_bytes")
        assert int(held) == memory << 20, name
        assert int(server.show(name, "TasksCurrent")) < tasks * 0.6, name
    whole = server.machine.run(
        "systemctl", "show", "dolphin.slice", "-p", "TasksMax,MemoryMax,TasksCurrent"
    )
    limits = dict(line.split("=") for line in whole.stdout.splitlines())
    assert int(limits["TasksCurrent"]) < int(limits["TasksMax"]) == 1500
    group_of_all = "/sys/fs/cgroup/memory/dolphin.slice/memory.limit_in_bytes"
    assert int(server.machine.read(group_of_all)) // 4096 == int(limits["MemoryMax"]) // 4096
    quota = server.machine.read(f"{group(server, 'trader@BLUE', 'cpu')}/cpu.cfs_quota_us")
    period = server.machine.read(f"{group(server, 'trader@BLUE', 'cpu')}/cpu.cfs_period_us")
    assert int(quota) == 2 * int(period)


def test_the_kernel_tells_the_bridges_reader_of_files_in_its_confinement(server):
    script = "grep -h ^inotify /proc/$(pgrep -f bridge.reader | head -1)/fdinfo/*"
    told = server.machine.run("sh", "-c", script, check=False).stdout
    assert told.count("inotify wd") >= 2, "the scan folder and a day in it are watched"


def test_a_killed_trader_is_back_and_trading(server):
    contract.killed_it_comes_back(server, "trader@BLUE", bystander="hazelcast")


def test_a_fork_bomb_in_a_unit_stops_at_its_limit_and_the_rest_lives(server):
    pids = {name: server.pid(name) for name in SERVICES}
    before = int(server.show("bridge", "TasksCurrent"))
    script = BOMB.format(group=group(server, "bridge", "pids"))
    done = server.machine.run(PYTHON, "-c", script, check=False)
    born, refused = map(int, done.stdout.split())
    assert born + refused == 100
    assert 50 - before - 2 <= born <= 50 - before
    assert {name: server.pid(name) for name in SERVICES} == pids
    server.trades_on()


def test_meta_health_may_restart_often_and_leaves_nothing_at_its_limit(server):
    contract.restarts_of_meta_health_leave_nothing_at_its_limit(server, "bridge")
    assert server.show("bridge", "Result") == "success"


@pytest.mark.parametrize(("verb", "unit"), [("stop", "bridge"), ("restart", "meta-health"),
                                            ("try-restart", "meta-health")])  # fmt: skip
def test_meta_health_may_do_nothing_else(server, verb, unit):
    script = f"""
import subprocess, sys
sys.exit(subprocess.run(["systemctl", "--no-ask-password", {verb!r}, "dolphin-{unit}.service"]).returncode)
"""
    done = server.as_observer(script, check=False)
    assert done.returncode != 0
    assert "denied" in done.stderr.lower() or "authentication" in done.stderr.lower(), done.stderr


def test_a_stopped_trader_meets_the_watchdog(server):
    contract.stopped_it_meets_the_watchdog(server, "trader@BLUE")
    journal = server.machine.run("journalctl", "--no-pager", "-u", server.unit("trader@BLUE"))
    assert "Watchdog timeout" in journal.stdout
    assert "stop-watchdog' timed out" not in journal.stdout, "SIGABRT alone must end it"


def test_a_unit_at_its_start_limit_is_started_again_by_meta_health_and_verified(server):
    contract.at_its_limit_it_is_started_again_and_verified(server, "bridge")
    line = server.history()["ledger"][0]
    assert (line["action"]["kind"], line["manager"]) == ("start", "systemd")
    alerts = server.machine.read("/var/lib/dolphin/run_logs/alerts.jsonl")
    assert '"check":"unit"' in alerts


def test_its_alert_reached_a_receiver_whose_address_root_alone_reads(server):
    def told():
        return server.machine.run("cat", TOLD, check=False).stdout

    eventually(lambda: "RED: bridge unit" in told(), 60, "the message")
    address = server.machine.run("stat", "-c", "%U %a", SETTINGS["alerts_file"]).stdout
    assert address.split() == ["root", "600"]


def test_the_viewers_ui_answers_and_changes_nothing(server):
    script = f"""
from dolphin_realtime.ops import dagster_api
print(dagster_api.query({SETTINGS["viewer_port"]}, "{{ version canBulkTerminate permissions {{ value }} }}"))
"""
    seen = server.machine.run(PYTHON, "-c", script).stdout
    assert "'canBulkTerminate': False" in seen
    assert "'value': False" in seen
    assert "'value': True" not in seen


UI_PORT = SETTINGS.get("ui_port", 3000)
HOG = """
import os, sys, threading
flag = "{home}/hog"
if "--multiprocessing-fork" in sys.argv and os.path.exists(flag):
    os.unlink(flag)
    def take():
        held = []
        while True:
            held.append(bytearray(64 << 20))
    threading.Thread(target=take, daemon=True).start()
"""


def in_machine(server, script):
    return server.machine.run(PYTHON, "-c", script).stdout.strip()


def launched(server):
    return in_machine(
        server,
        "from dolphin_realtime.ops import dagster_api\n"
        f"print(dagster_api.launch_job({UI_PORT}, 'calendar_factors_job'))",
    )


def status_of(server, run_id):
    query = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
    return in_machine(
        server,
        "from dolphin_realtime.ops import dagster_api\n"
        f"print(dagster_api.query({UI_PORT}, {query!r}, {{'id': {run_id!r}}})['runOrError']['status'])",
    )


def test_a_run_that_allocates_without_end_is_killed_and_the_rest_goes_on(server):
    """A real run whose worker takes memory until it is killed; its code server has the same process after."""
    home = "/var/lib/dolphin"
    server.machine.write("/opt/hog/sitecustomize.py", HOG.format(home=home))
    drop_in = "[Service]\nEnvironment=PYTHONPATH=/opt/hog\nMemoryMax=1200M\n"
    server.machine.write("/etc/systemd/system/dolphin-dagster-code.service.d/hog.conf", drop_in)
    server.machine.run("systemctl", "daemon-reload")
    server.machine.run("systemctl", "restart", "dolphin-dagster-code")
    eventually(lambda: server.state("dagster-code") == "running", 60, "the code server")
    before = server.pid("dagster-code")
    server.machine.run("touch", f"{home}/hog")
    server.machine.run("chown", "dolphin:", f"{home}/hog", f"{home}")
    greedy = launched(server)
    eventually(lambda: status_of(server, greedy) == "FAILURE", 150, "the end of the greedy run")
    assert server.pid("dagster-code") == before
    assert server.show("dagster-code", "Result") == "success"
    looked = server.machine.read_time("/var/lib/dolphin/run/alerts_looked")
    following = launched(server)
    eventually(lambda: status_of(server, following) == "SUCCESS", 120, "the next run")
    eventually(
        lambda: server.machine.read_time("/var/lib/dolphin/run/alerts_looked") > looked, 60,
        "the sensor of alerts",
    )  # fmt: skip
    assert server.pid("dagster-code") == before
    server.machine.run("rm", "-r", "/etc/systemd/system/dolphin-dagster-code.service.d")
    server.machine.run("systemctl", "daemon-reload")


def test_a_stop_by_an_operator_is_left_alone(server):
    contract.stopped_by_an_operator_it_is_left_alone(server, "safety")


def test_alerts_of_every_user_are_kept(server):
    alerts = "/var/lib/dolphin/run_logs/alerts.jsonl"
    server.machine.run("rm", "-f", alerts)
    write = """
from datetime import UTC, datetime
from pathlib import Path
from dolphin_realtime.runtime.alert_log import Alert, write_alert
write_alert(Path("/var/lib/dolphin"), Alert(
    ts=datetime.now(UTC), asset="a", check="c", state="red", facts={}, runbook=""))
"""
    server.machine.run("sh", "-c", f"umask 007; runuser -u dolphin-mhs -- {PYTHON} -c '{write}'")
    server.systemctl("start", "dolphin-alert@dolphin-bridge.service.service")
    lines = server.machine.read(alerts).splitlines()
    assert sum('"asset":"a"' in line for line in lines) == 1
    assert sum('"unit":"dolphin-bridge"' in line for line in lines) == 1


def test_a_broken_code_server_is_given_up_and_told_of(server):
    drop_in = "/etc/systemd/system/dolphin-dagster-code.service.d/broken.conf"
    server.machine.write(drop_in, "[Service]\nExecStart=\nExecStart=/bin/false\n")
    server.systemctl("daemon-reload")
    server.systemctl("restart", "--no-block", "dolphin-dagster-code.service")
    eventually(lambda: server.state("dagster-code") == "failed", 90, "systemd to give up")
    server.machine.run("rm", "-r", "/etc/systemd/system/dolphin-dagster-code.service.d")
    server.systemctl("daemon-reload")
    server.command("start", "dagster-code")
    assert server.state("dagster-code") == "running"


def test_a_command_for_another_home_does_not_reach_the_units(server):
    done = server.machine.dolphin("stop", "bridge", check=False, DOLPHIN_HOME="/tmp/other")
    assert done.returncode == 3, done.stdout
    assert server.state("bridge") == "running"


def test_another_user_is_told_so(server):
    words = (
        "runuser",
        "-u",
        "nobody",
        "--",
        PYTHON,
        "-m",
        "dolphin_realtime.cli",
        "health",
        "history",
    )
    done = server.machine.run(*words, check=False, DOLPHIN_HOME="/var/lib/dolphin")
    assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr
    assert "run it as root" in done.stderr


ARCHIVING = """
import sys
from pathlib import Path
from dolphin_realtime.scans.share_lock import share_lock
with share_lock(Path("/var/lib/dolphin/run")):
    print("reads", flush=True)
    list(Path("/mnt/share").iterdir())
"""


def archiving(server):
    """Start a process that reads the share as a run of the archive does; kill it once it reads."""
    script = 'exec setsid -f "$@" >/dev/null 2>&1'
    server.machine.run("sh", "-c", script, "sh", PYTHON, "-c", ARCHIVING)

    def holder():
        held_by = server.machine.run(
            "cat", "/var/lib/dolphin/run/share.lock", check=False
        ).stdout.strip()
        return held_by if held_by in map(str, archivers(server)) else None

    server.machine.run("kill", "-9", eventually(holder, 30, "a run of the archive that reads"))


def archivers(server):
    listed = server.machine.run("pgrep", "-f", "share_lock", check=False).stdout
    return [int(pid) for pid in listed.split() if "python" in server.machine.run(
        "cat", f"/proc/{pid}/comm", check=False).stdout]  # fmt: skip


def readers(server):
    listed = server.systemctl("status", "--no-pager", server.unit("bridge"), check=False).stdout
    return listed.count("dolphin_realtime.services.bridge.reader")


def test_a_share_that_hangs_leaves_one_stuck_reader_and_everything_else_alive(server):
    pids = {name: server.pid(name) for name in SERVICES}
    acted = len(server.history()["ledger"])
    server.share.hang()
    try:
        said = eventually(
            lambda: next((s["detail"] for s in server.status()["services"] if s["name"] == "bridge"
                          and "share_hung" in s["detail"]), None), 60, server.status,
        )  # fmt: skip
        assert "hangs" in said or "replaced" in said
        archiving(server)
        assert len(archivers(server)) == 1, "it hangs and cannot be killed"
        for _ in range(2):
            refused = server.machine.run(PYTHON, "-c", ARCHIVING, check=False, timeout=20)
            assert "ShareBusy: process" in refused.stderr
        assert len(archivers(server)) == 1
        eventually(lambda: "POSTURE_CLOSE_ONLY" in (server.status()["not_trading_because"] or ""),
                   60, server.status)  # fmt: skip
        assert readers(server) == 1
        assert {name: server.pid(name) for name in SERVICES} == pids
        trader = server.pid("trader@BLUE")
        server.machine.run("kill", "-9", str(trader))
        eventually(lambda: server.pid("trader@BLUE") not in (0, trader), 30, "a new trader")
        eventually(lambda: server.show("trader@BLUE", "ActiveState") == "active", 60, "readiness")
    finally:
        server.share.release()
    server.trades_on()
    assert readers(server) == 1
    eventually(lambda: archivers(server) == [], 20, "the end of what hung")
    assert len(server.history()["ledger"]) == acted
    assert server.pid("bridge") == pids["bridge"]


def test_a_bridge_whose_reader_hangs_is_stopped_in_time(server):
    server.share.hang()
    try:
        eventually(lambda: "share_hung" in str(server.status()), 60, server.status)
        limit_s = 30 + 10
        server.systemctl("stop", server.unit("bridge"), check=False, timeout=limit_s)
        assert server.show("bridge", "ActiveState") in ("inactive", "failed")
    finally:
        server.share.release()
    acted = server.events("bridge")
    server.turns(8)
    assert server.events("bridge") == acted
    server.command("start", "bridge")
    server.trades_on()


def test_uninstalling_leaves_state_settings_and_keys_and_installing_again_trades_on(server):
    journal = "/var/lib/dolphin/journal/BLUE/journal.sqlite"
    said = server.machine.dolphin("systemd", "uninstall", "--dry-run").stdout
    assert said.startswith("would stop dolphin-hazelcast.service")
    assert server.state("trader@BLUE") == "running"
    server.machine.dolphin("systemd", "uninstall")
    left = server.machine.run("sh", "-c", "ls -d /etc/systemd/system/dolphin* || true").stdout
    assert left == ""
    assert server.state("trader@BLUE") == "stopped"
    for path in (journal, "/etc/dolphin/dolphin.env", "/etc/dolphin/credentials/trade_key.BLUE"):
        server.machine.run("test", "-e", path)
    server.machine.dolphin("systemd", "install")
    server.systemctl("start", "dolphin.target")
    server.trades_on()
