"""A real PostgreSQL server in a folder of its own, asking for a password."""

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from dolphin_realtime.bench.stack import free_port, wait_for

USER = "dolphin"


def binaries():
    """Return the folder of the newest PostgreSQL that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, "no PostgreSQL: apt-get install postgresql"
    return found[-1].parent


def as_postgres(command, **kwargs):
    """Return a command that is not run as root, which PostgreSQL refuses."""
    if os.geteuid() == 0:
        command = ["runuser", "-u", "postgres", "--", *command]
    return subprocess.run(command, check=True, capture_output=True, text=True, **kwargs)


class Postgres:
    """A server; `url` has no password, `passfile` holds it.

    Its files lie where its own user can reach them, not below pytest's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = Path(tempfile.mkdtemp(prefix="dolphin-pg-")), free_port()
        self.passfile = folder / "pgpass"
        self.bin = binaries()
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.password = secrets.token_hex(12)
        pwfile = self.folder / "pw"
        pwfile.write_text(self.password)
        pwfile.chmod(0o644)
        self.data = self.folder / "data"
        as_postgres(
            [str(self.bin / "initdb"), "-D", str(self.data), "-U", USER, "-A", "scram-sha-256",
             "--pwfile", str(pwfile), "-N"], cwd="/"
        )  # fmt: skip
        self.passfile.write_text(f"127.0.0.1:{self.port}:*:{USER}:{self.password}\n")
        self.passfile.chmod(0o600)

    def start(self) -> None:
        """Start it and create the database."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        as_postgres(
            [str(self.bin / "pg_ctl"), "-D", str(self.data), "-o", options, "-w",
             "-l", str(self.folder / "log"), "start"], cwd="/"
        )  # fmt: skip
        wait_for(lambda: self.psql("SELECT 1", "postgres") == "1", 30, "PostgreSQL")
        self.psql("CREATE DATABASE dagster", "postgres")

    def stop(self) -> None:
        """Stop it at once."""
        as_postgres([str(self.bin / "pg_ctl"), "-D", str(self.data), "-m", "fast", "stop"], cwd="/")
        shutil.rmtree(self.folder)

    @property
    def url(self) -> str:
        """The address, as DOLPHIN_POSTGRES takes it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/dagster"

    def psql(self, text: str, database: str = "dagster") -> str:
        """Return what a statement answers."""
        done = subprocess.run(
            [str(self.bin / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", database,
             "-At", "-c", text],
            env={**os.environ, "PGPASSFILE": str(self.passfile)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout.strip()
