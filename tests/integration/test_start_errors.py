"""What is missing at the start is said in one line, with what to do, and a non-zero exit."""

import os
import socket
import subprocess
import sys

import pytest

from dolphin_realtime.bench.stack import free_port
from tests.integration.conftest import make_desk


def dolphin(*words, home, **env):
    settings = {"DOLPHIN_HOME": str(home), "DOLPHIN_HAZELCAST_PORT": str(free_port())}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DOLPHIN_")}
    command = [sys.executable, "-m", "dolphin_realtime.cli", *words]
    return subprocess.run(
        command,
        env=inherited | settings | env,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def said(done, *words):
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def test_a_port_in_use_is_named_with_its_owner(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        done = dolphin("up", "--no-dagster", home=tmp_path, DOLPHIN_HAZELCAST_PORT=str(port))
        said(done, f"port {port}", "hazelcast", f"process {os.getpid()}")
        done = dolphin("service", "hazelcast", home=tmp_path, DOLPHIN_HAZELCAST_PORT=str(port))
        said(done, f"port {port}", "DOLPHIN_HAZELCAST_PORT")


def test_no_java_is_said_with_what_was_tried(tmp_path):
    done = dolphin("service", "hazelcast", home=tmp_path, DOLPHIN_JAVA="/nonexistent/java")
    said(done, "no Java of 17, 21, 25", "/nonexistent/java", "DOLPHIN_JAVA")


def test_no_jar_is_said(tmp_path):
    done = dolphin(
        "service", "hazelcast", home=tmp_path, DOLPHIN_HAZELCAST_JAR=str(tmp_path / "x.jar")
    )
    said(done, "no Hazelcast jar", "x.jar", "DOLPHIN_HAZELCAST_JAR")


def test_a_wrong_jar_is_refused_with_its_digest(tmp_path):
    jar = tmp_path / "cut-off.jar"
    jar.write_bytes(b"PK\x03\x04 the beginning of a jar")
    done = dolphin("service", "hazelcast", home=tmp_path, DOLPHIN_HAZELCAST_JAR=str(jar))
    said(done, "is refused", "SHA-256", "241ec66cea84")


def test_a_jar_that_cannot_be_fetched_is_said(tmp_path):
    done = dolphin(
        "service",
        "hazelcast",
        home=tmp_path,
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        DOLPHIN_MAVEN_BASE=f"http://127.0.0.1:{free_port()}",
    )
    said(done, "could not be had", "DOLPHIN_MAVEN_BASE", "Connection refused")


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("DOLPHIN_HAZELCAST_PRT", "5701", "hazelcast_prt"),
        ("DOLPHIN_UI_PORT", "many", "int"),
        ("DOLPHIN_TARGET_BAND", "-1", "DOLPHIN_TARGET_"),
    ],
)
def test_a_wrong_setting_stops_the_start(tmp_path, name, value, word):
    said(dolphin("up", "--no-dagster", home=tmp_path / "home", **{name: value}), word)


def test_a_wrong_cluster_name_is_said(tmp_path):
    desk = make_desk(tmp_path / "home")
    with desk.stack:
        done = desk.cli("scan", "show")
        assert done.returncode in (0, 1)
        desk.stack.env |= {"DOLPHIN_CLUSTER_NAME": "whale", "DOLPHIN_GRID_TIMEOUT_S": "2"}
        said(desk.cli("scan", "show"), "'whale'", "DOLPHIN_CLUSTER_NAME")
        said(desk.cli("service", "bridge"), "'whale'", "DOLPHIN_CLUSTER_NAME")


def test_live_mode_says_what_it_lacks_before_anything_else(tmp_path):
    said(
        dolphin("service", "trader", "BLUE", "--mode", "live", home=tmp_path),
        "DOLPHIN_LIVE_INSTANCE is ''", "names the one of BLUE",
    )  # fmt: skip
    named = {"DOLPHIN_MODE": "live", "DOLPHIN_LIVE_INSTANCE": "BLUE"}
    said(
        dolphin("service", "trader", "BLUE", home=tmp_path, **named),
        "DOLPHIN_LIVE_MAX_ORDER_USD, DOLPHIN_LIVE_MAX_GROSS_USD", "not set, and without a default",
    )  # fmt: skip
    said(
        dolphin("service", "trader", "BLUE", "--scans", ".", home=tmp_path, **named),
        "--scans trades files on paper",
    )
