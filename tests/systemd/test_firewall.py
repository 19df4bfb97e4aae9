"""Who may come in: strangers, operators and programs at the door, each with a client of their own."""

import json

import pytest

from tests.systemd.conftest import SETTINGS, eventually
from tests.systemd.machine import PYTHON

pytestmark = pytest.mark.timeout(180)
STRANGER, OPERATOR, DOOR = 4401, 4402, 4403
GRID, CODE, UI, VIEWER, BRIDGE_METRICS = 5701, 4266, 3000, SETTINGS["viewer_port"], 9401
PORTS = (GRID, CODE, UI, VIEWER, BRIDGE_METRICS)
REACHED = """
import json, socket, sys
found = {}
for port in map(int, sys.argv[1:]):
    try:
        socket.create_connection(("127.0.0.1", port), 3).close()
        found[port] = "in"
    except OSError as e:
        found[port] = type(e).__name__
print(json.dumps(found))
"""
SNIPPET = """
import hazelcast
client = hazelcast.HazelcastClient(
    cluster_name="dolphin", cluster_members=["127.0.0.1:5701"], cluster_connect_timeout=3.0)
safety = client.get_map("DOLPHIN_SAFETY").blocking()
print(safety.get("latest"))
safety.put("test", "written")
client.shutdown()
"""
IMPOSTOR = """
import socket
listening = socket.create_server(("127.0.0.1", {port}), backlog={backlog})
print("listens", flush=True)
while True:
    listening.accept()[0].sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
"""


def as_user(server, uid, *words, check=True):
    user = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--")
    return server.machine.run(*user, *words, check=check)


def reached(server, uid, *ports):
    done = as_user(server, uid, PYTHON, "-c", REACHED, *map(str, ports))
    return {int(port): said for port, said in json.loads(done.stdout).items()}


@pytest.fixture(scope="module", autouse=True)
def users(server):
    server.trades_on()
    lines = (
        f"u olga {OPERATOR}",
        "m olga dolphin-operators",
        f"u nginx {DOOR}",
        "m nginx dolphin-door",
    )
    for line in lines:
        server.machine.run("systemd-sysusers", "--inline", line)
    server.systemctl("reload", "dolphin-firewall")


def test_a_stranger_reaches_no_port_and_an_operator_every_one(server):
    assert reached(server, STRANGER, *PORTS) == dict.fromkeys(PORTS, "ConnectionRefusedError")
    assert reached(server, OPERATOR, *PORTS) == dict.fromkeys(PORTS, "in")
    assert reached(server, 0, *PORTS) == dict.fromkeys(PORTS, "in")


def test_the_door_and_the_scraper_reach_the_ui_and_the_metrics_alone(server):
    found = reached(server, DOOR, *PORTS)
    assert {port for port, said in found.items() if said == "in"} == {UI, VIEWER, BRIDGE_METRICS}


def test_a_strangers_hazelcast_client_writes_nothing_and_an_operators_snippet_works(server):
    refused = as_user(server, STRANGER, PYTHON, "-c", SNIPPET, check=False)
    assert refused.returncode != 0
    assert "Unable to connect to any cluster" in refused.stderr
    assert '"posture"' in as_user(server, OPERATOR, PYTHON, "-c", SNIPPET).stdout


def test_without_the_rules_the_stranger_is_in_and_status_says_so(server):
    assert server.status()["strangers_kept_out"] is True
    server.systemctl("stop", "dolphin-firewall")
    try:
        assert reached(server, STRANGER, *PORTS) == dict.fromkeys(PORTS, "in")
        assert server.status()["strangers_kept_out"] is False
        said = server.machine.dolphin("status", check=False).stdout
        assert "every local user is trusted" in said
    finally:
        server.systemctl("start", "dolphin-firewall")
    assert reached(server, STRANGER, GRID)[GRID] != "in"


@pytest.mark.parametrize("backlog", [0, 128])
def test_a_strangers_listener_cannot_pass_for_a_service_that_is_down(server, backlog):
    """Without a backlog the kernel answers with SYN cookies, which belong to no socket."""
    server.command("stop", "dagster-viewer")
    script = f"setpriv --reuid={STRANGER} --regid={STRANGER} --clear-groups -- {PYTHON} -c '{IMPOSTOR.format(port=VIEWER, backlog=backlog)}' >/tmp/impostor 2>&1 &"
    server.machine.run("sh", "-c", script)
    try:
        eventually(lambda: "listens" in server.machine.read("/tmp/impostor"), 20, "the impostor")
        for _ in range(3):
            assert reached(server, OPERATOR, VIEWER) == {VIEWER: "TimeoutError"}
        server.systemctl("stop", "dolphin-firewall")
        assert reached(server, OPERATOR, VIEWER) == {VIEWER: "in"}
    finally:
        server.systemctl("start", "dolphin-firewall")
        server.machine.run("pkill", "-u", str(STRANGER), check=False)
    eventually(lambda: reached(server, 0, VIEWER)[VIEWER] != "in", 20, "the end of the impostor")
    server.command("start", "dagster-viewer")
    eventually(lambda: reached(server, OPERATOR, VIEWER) == {VIEWER: "in"}, 60, "the viewer")


def test_nothing_listens_beyond_loopback(server):
    tables = server.machine.run("cat", "/proc/net/tcp", "/proc/net/tcp6").stdout.splitlines()
    listening = [
        line.split()[1] for line in tables if len(line.split()) > 3 and line.split()[3] == "0A"
    ]
    addresses = {address.rpartition(":")[0] for address in listening}
    assert len(listening) > len(PORTS) - 1
    mapped = "0000000000000000FFFF00000100007F"
    assert addresses <= {"0100007F", mapped, "00000000000000000000000001000000"}, addresses


def test_a_stranger_reads_and_writes_no_file_of_the_stack(server):
    find = ("find", "/var/lib/dolphin", "/etc/dolphin", "-not", "-type", "l")
    writable = server.machine.run(*find, "-perm", "/o+w").stdout
    assert writable == ""
    sockets = server.machine.run("find", "/var/lib/dolphin/run", "-type", "s").stdout.split()
    assert any(path.endswith("safety.sock") for path in sockets)
    for path in (
        "/var/lib/dolphin",
        "/var/lib/dolphin/run/safety.sock",
        "/etc/dolphin/credentials",
    ):
        seen = as_user(server, STRANGER, "ls", f"{path}/" if "." not in path else path, check=False)
        assert seen.returncode != 0, path


def test_the_stack_trades_and_is_watched_behind_the_rules(server):
    server.trades_on()
    server.turns(2)
    assert server.status()["health"] in ("GREEN", "DEGRADED")


UP = f"""
export DOLPHIN_HOME=/tmp/second DOLPHIN_MANAGER=local DOLPHIN_HAZELCAST_PORT=5801 DOLPHIN_METRICS_PORT=9500
export DOLPHIN_HAZELCAST_JAR={SETTINGS["hazelcast_jar"]}
exec {PYTHON} -m dolphin_realtime.cli up --no-dagster >/tmp/second.log 2>&1
"""


def test_a_stack_that_root_runs_in_a_terminal_keeps_strangers_out_while_it_runs(server):
    server.machine.run("sh", "-c", f"({UP}) &")
    try:
        eventually(lambda: reached(server, 0, 5801)[5801] == "in", 60,
                   lambda: server.machine.read("/tmp/second.log"))  # fmt: skip
        assert reached(server, STRANGER, 5801, 9501) == {
            5801: "ConnectionRefusedError",
            9501: "ConnectionRefusedError",
        }
        assert "table inet dolphin_" in tables(server)
    finally:
        server.machine.run("pkill", "-TERM", "-f", "cli up --no-dagster", check=False)
    eventually(lambda: "table inet dolphin_" not in tables(server), 60, "the end of the rules")
    assert "table inet dolphin" in tables(server), "those of the units stay"


def tables(server):
    return server.machine.run("nft", "list", "tables").stdout


def test_rules_that_somebody_flushed_are_missed_by_status_and_come_back_with_a_reload(server):
    server.machine.run("nft", "flush", "ruleset")
    assert server.status()["strangers_kept_out"] is False
    server.systemctl("reload", "dolphin-firewall")
    assert server.status()["strangers_kept_out"] is True
    assert reached(server, STRANGER, GRID)[GRID] != "in"
