"""A real nginx with the configuration that Dolphin renders."""

import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path

import httpx2

from dolphin_realtime.bench.stack import free_port, wait_for
from dolphin_realtime.config.loading import load
from dolphin_realtime.infra.ports import answers
from dolphin_realtime.ops.nginx import Front, render

HOST = "dolphin.test"
PEOPLE = {"olga": "operates", "vera": "views", "OLGA": "shouts"}

_FRAME = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map_hash_bucket_size 128;
    include {folder}/dolphin.conf;
}}
"""


def _certified(folder):
    """Return a certificate that is made for the host, its key beside it."""
    path = folder / "door.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "1", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},IP:127.0.0.1",
         "-keyout", str(path.with_suffix(".key")), "-out", str(path)], capture_output=True, check=True,
    )  # fmt: skip
    return path


class Door:
    """nginx before a stack's UI, for two people: olga may change, vera may look.

    Its files lie where its workers, who are nobody, can read them.
    """

    def __init__(self, env, *, with_tls=False):
        self.folder = folder = Path(tempfile.mkdtemp(prefix="dolphin-nginx-"))
        nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        assert nginx, "no nginx: apt-get install nginx-light"
        self.port = free_port()
        self.certificate = _certified(folder) if with_tls else None
        front = Front(
            host=HOST, listen=f"127.0.0.1:{self.port}", certificate=self.certificate, folder=folder
        )
        self.origin = front.origin
        (folder / "dolphin.conf").write_text(render(load(env), front))
        (folder / "nginx.conf").write_text(_FRAME.format(folder=folder))
        (folder / "operators").write_text('"~^olga$" operator;\n')
        lines = [f"{name}:{self.hashed(word)}" for name, word in PEOPLE.items()]
        (folder / "htpasswd").write_text("\n".join(lines) + "\n")
        folder.chmod(0o755)
        command = [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")]
        with (folder / "stderr").open("w") as log:
            self.process = subprocess.Popen(command, stderr=log)
        wait_for(lambda: answers(self.port, ""), 20, "nginx")

    @staticmethod
    def hashed(word):
        done = subprocess.run(
            ["openssl", "passwd", "-apr1", word], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def ask(self, method, path, who=None, *, host=HOST, **options):
        """Return the answer to a request that `who` makes at this door."""
        scheme = "https" if self.certificate else "http"
        headers = {"Host": f"{host}:{self.port}", **options.pop("headers", {})}
        trusted = ssl.create_default_context(cafile=self.certificate)
        return httpx2.request(
            method, f"{scheme}://127.0.0.1:{self.port}{path}", headers=headers, verify=trusted,
            auth=(who, PEOPLE.get(who, "guess")) if who else None, timeout=20, **options,
        )  # fmt: skip

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder)
