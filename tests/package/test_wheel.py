"""The wheel in an environment of its own, an empty folder and an empty home: it runs without a checkout."""

import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from dolphin_realtime.bench.stack import free_port
from tests.journals import rows
from tests.scanner.venue import Served

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(900)
FOR_S = 100


def uv(*words, **more):
    program = Path(sys.executable).with_name("uv")
    return subprocess.run(
        [program, *words], check=True, capture_output=True, text=True, timeout=600, **more
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    copy = tmp_path_factory.mktemp("source")  # building writes beside the sources
    for name in ("dolphin_realtime", "dolphin_dagster"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy)
    uv("build", "--wheel", "-q", "-o", str(out), str(copy))
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Return a function that runs the installed program in an empty folder with an empty home."""
    folder, began = tmp_path_factory.mktemp("bare"), time.monotonic()
    uv("venv", "-q", "--python", os.path.realpath(sys.executable), str(folder / "venv"))
    uv("pip", "install", "-q", "--python", str(folder / "venv/bin/python"), str(wheel))
    for name in ("empty", "home"):
        (folder / name).mkdir()
    kept = {
        k: os.environ[k] for k in ("PATH", "DOLPHIN_HAZELCAST_JAR", "JAVA_HOME") if k in os.environ
    }
    env = {**kept, "HOME": str(folder / "home")}

    def run(*words, **more):
        program = [str(folder / "venv/bin/dolphin"), *words]
        return subprocess.run(program, cwd=folder / "empty", env={**env, **more}, capture_output=True,
                              text=True, timeout=600, check=False)  # fmt: skip

    run.began, run.home = began, folder / "home"
    return run


def test_it_holds_what_the_checkout_has_beside_its_packages(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "dolphin_realtime/ops/runner/dagster.yaml" in names
    assert "dolphin_realtime/replay/sample_1m.parquet" in names
    packed = zipfile.ZipFile(wheel).read("dolphin_realtime/ops/runner/dagster.yaml")
    assert packed == (ROOT / "dagster.yaml").read_bytes()
    assert not [name for name in names if name.startswith(("tests", "scripts", "docs"))]


def test_it_says_its_version_and_its_settings(installed):
    assert installed("--version").stdout.split()[0] == "dolphin"
    assert installed("settings", "--changed").returncode == 0
    assert "[signal]" in installed("settings", "example").stdout


def test_it_compares_itself_with_a_wheel(installed, wheel):
    done = installed("upgrade", "check", str(wheel))
    assert done.returncode == 0, done.stderr
    assert "nothing that an operator notices" in done.stdout


def test_from_an_empty_folder_to_a_decision_on_live_prices(installed, capsys):
    """The venue is on loopback; the time is from the making of the environment on."""
    served, home = Served(), installed.home / "live"
    told = {f"DOLPHIN_{name.upper()}": str(value) for name, value in served.settings.items()}
    try:
        done = installed("up", "--scanner", "--no-dagster", "--for", "30", DOLPHIN_HOME=str(home),
                         DOLPHIN_SOURCE_OFF="all", DOLPHIN_HAZELCAST_PORT=str(free_port()), **told)  # fmt: skip
    finally:
        served.close()
    took_s = time.monotonic() - installed.began
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    ((acted,),) = rows(home / "journal" / "BLUE", "SELECT count(*) FROM equity WHERE is_acted_on")
    assert acted > 0
    with capsys.disabled():
        print(
            f"\nfrom an empty folder to the end of 30 s of trading: {took_s:.0f} s, {acted} scans acted on"
        )
    assert took_s < 600


def test_the_demo_trades_and_ends_well(installed):
    done = installed("up", "--demo", "--for", str(FOR_S))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "fills" in done.stdout
