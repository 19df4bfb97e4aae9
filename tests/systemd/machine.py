"""A real systemd in a container of its own: booted by systemd-nspawn, no network, gone afterwards.

Needs root, systemd-container and mmdebstrap (`.ci/run` installs them). The root file system is
made once and kept in the user's cache; each boot writes into memory.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from dolphin_realtime.grid.member.jar import cache_dir, ensure_jar
from dolphin_realtime.infra.process import die_with_parent

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "systemd systemd-sysv dbus procps nftables polkitd libssl3 libffi8 libsqlite3-0 libbz2-1.0 liblzma5 "
    "zlib1g libreadline8 libncursesw6 libexpat1 libuuid1 libgdbm6 libdb5.3 ca-certificates tzdata"
)
SUITE = "bookworm"
CONTROLLERS = "pids memory cpu cpuacct cpuset blkio freezer devices systemd"
PYTHON = "/opt/dolphin/venv/bin/python"
TOOLS = ("systemd-nspawn", "mmdebstrap", "nsenter")


def root_folder() -> Path:
    """Return the root file system, made where it is not there."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    assert not missing, f"{missing} missing: apt-get install systemd-container mmdebstrap dbus"
    assert os.geteuid() == 0, "systemd-nspawn needs root"
    digest = hashlib.sha256(PACKAGES.encode()).hexdigest()[:12]
    root = cache_dir() / f"systemd-root-{digest}"
    if not root.is_dir():
        partial = root.with_suffix(f".{os.getpid()}.part")
        partial.parent.mkdir(parents=True, exist_ok=True)
        include = f"--include={','.join(PACKAGES.split())}"
        command = ["mmdebstrap", "--quiet", "--variant=minbase", include, SUITE, str(partial)]
        subprocess.run(command, check=True, timeout=300)
        partial.replace(root)
    return root


def stage_venv(folder: Path) -> Path:
    """Make a virtual environment for /opt/dolphin/venv over the checkout's own packages."""
    python = Path(sys._base_executable).name
    site = folder / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    site.mkdir(parents=True)
    (site / "dolphin.pth").write_text("/opt/dolphin/packages\n/opt/dolphin/checkout\n")
    (folder / "pyvenv.cfg").write_text("home = /opt/python/bin\n")
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(f"/opt/python/bin/{python}")
    return folder


SHARE_OF_ONE = 1024
PROCESSES = 4
"""The machine's share of the processor is that of so many processes: a group counts as one else."""


def own_cgroups(name: str) -> list[Path]:
    """Return a cgroup of this machine's own in every hierarchy of the host's."""
    found = []
    own_memory = next(
        (line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines()
         if line.split(":")[1] == "memory"), "/",
    )  # fmt: skip
    for controller in CONTROLLERS.split():
        base = Path("/sys/fs/cgroup") / controller
        if not base.is_dir():
            continue
        if controller == "memory":
            base = base / own_memory.strip("/")
        group = base / name
        group.mkdir(exist_ok=True)
        if controller == "cpu":
            (group / "cpu.shares").write_text(str(SHARE_OF_ONE * PROCESSES))
        if controller == "cpuset":
            for file in ("cpuset.cpus", "cpuset.mems"):
                (group / file).write_text((base / file).read_text())
        found.append(group)
    return found


class Machine:
    """One booted container; a context manager that leaves nothing behind."""

    def __init__(self, scratch: Path, *binds: str) -> None:
        self.name = f"dolphin-{os.getpid()}"
        self._scratch = scratch
        packages = sysconfig.get_paths()["purelib"]
        self._binds = [
            f"--bind-ro={sys.base_prefix}:/opt/python",
            f"--bind-ro={packages}:/opt/dolphin/packages",
            f"--bind-ro={CHECKOUT}:/opt/dolphin/checkout",
            f"--bind-ro={stage_venv(scratch / 'venv')}:/opt/dolphin/venv",
            f"--bind-ro={ensure_jar('', '')}:/opt/dolphin/hazelcast.jar",
            *binds,
        ]
        self._groups: list[Path] = []
        self._nspawn: subprocess.Popen[bytes] | None = None
        self.leader = 0

    def __enter__(self) -> "Machine":
        """Boot and return once systemd is up and may use the host's controllers."""
        root = root_folder()
        self._groups = own_cgroups(self.name)
        command = ["systemd-nspawn", "-q", "-D", str(root), "-b", "--register=no", "--keep-unit"]
        command += ["-M", self.name, "--volatile=overlay", "--private-network", "--console=pipe"]
        with (self._scratch / "console.log").open("wb") as log:
            self._nspawn = subprocess.Popen(
                [*command, *self._binds],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=self._enter_groups,
            )
        try:
            self._wait_booted()
        except BaseException:
            self.close()
            raise
        return self

    def _enter_groups(self) -> None:
        die_with_parent()
        for group in self._groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    def _wait_booted(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            self.leader = self._find_leader()
            if self.leader:
                state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
                if state in ("running", "degraded"):
                    break
            assert self._nspawn.poll() is None, self.console()
            assert time.monotonic() < deadline, self.console()
            time.sleep(0.1)
        mounts = " ".join(f"/sys/fs/cgroup/{c}" for c in ("pids", "memory", "cpu", "cpuacct"))
        script = f"for m in {mounts}; do mount -o remount,rw,bind $m; done"
        subprocess.run(["nsenter", "-t", str(self.leader), "-m", "sh", "-c", script], check=True)
        self.run("systemctl", "daemon-reexec")
        self.run("sh", "-c", "echo /opt/python/lib >/etc/ld.so.conf.d/python.conf; ldconfig")

    def _find_leader(self) -> int:
        children = f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children"
        found = Path(children).read_text().split()
        return int(found[0]) if found else 0

    def console(self) -> str:
        return (self._scratch / "console.log").read_text(errors="replace")[-3000:]

    def run(
        self, *words: str, check: bool = True, timeout: float = 120, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root."""
        variables = [
            f"{k}={v}" for k, v in {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **env}.items()
        ]
        command = ["nsenter", "-t", str(self.leader), "-a", "env", "-i", *variables, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        said = f"{words}: rc {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert not check or done.returncode == 0, said
        return done

    def dolphin(self, *words: str, **more) -> subprocess.CompletedProcess[str]:
        return self.run(PYTHON, "-m", "dolphin_realtime.cli", *words, **more)

    def read(self, path: str) -> str:
        return self.run("cat", path).stdout

    def read_time(self, path: str) -> float:
        """Return when a file was last changed."""
        return float(self.run("stat", "-c", "%.Y", path).stdout)

    def write(self, path: str, text: str) -> None:
        self.run(
            "sh", "-c", f"mkdir -p $(dirname {path}); printf '%s' \"$TEXT\" >{path}", TEXT=text
        )

    def show(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "-p", name, "--value", unit).stdout.strip()

    def close(self) -> None:
        """Power off, and remove its cgroups."""
        if self._nspawn is not None and self._nspawn.poll() is None:
            self._nspawn.send_signal(signal.SIGTERM)
            try:
                self._nspawn.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(self._nspawn.pid, signal.SIGKILL)
                self._nspawn.wait()
        for group in self._groups:
            for folder, _, _ in os.walk(group, topdown=False):
                self._remove(Path(folder))

    def _remove(self, folder: Path) -> None:
        deadline = time.monotonic() + 10
        while folder.is_dir():
            try:
                folder.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def __exit__(self, *_: object) -> None:
        self.close()
