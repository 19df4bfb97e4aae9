"""Kind J, loopback through a proxy: whatever the environment says, Dolphin's own parts are direct."""

import http.server
import json
import threading

import pytest

from dolphin_realtime.config.loading import load
from dolphin_realtime.infra.process import LOOPBACK, NO_PROXY, direct_loopback
from dolphin_realtime.ops import dagster_api
from dolphin_realtime.ops.runner.services import environment
from dolphin_realtime.ops.systemd.unit import Place, _environment


@pytest.mark.parametrize(
    "env",
    [{}, {"no_proxy": "intra.example"}, {"NO_PROXY": "a,b , 127.0.0.1"}, {"no_proxy": "*"},
     {"https_proxy": "http://p:1", "no_grpc_proxy": "x"}],
)  # fmt: skip
def test_loopback_is_added_and_nothing_is_lost(env):
    made = direct_loopback(env)
    assert made.keys() == set(NO_PROXY)
    for name, value in made.items():
        hosts = value.split(",")
        assert set(LOOPBACK) <= set(hosts)
        assert len(hosts) == len(set(hosts))
        said = [h.strip() for h in env.get(name, "").split(",") if h.strip()]
        assert set(said) <= set(hosts)
    assert direct_loopback(made) == made


def test_every_service_and_every_unit_gets_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DOLPHIN_HOME", str(tmp_path))
    env = environment(load(), {"https_proxy": "http://127.0.0.1:9"})
    units = _environment(Place(root=tmp_path, instance=tmp_path))
    for given in (env, units):
        assert all("127.0.0.1" in given[name] for name in NO_PROXY)
    assert env["https_proxy"] == "http://127.0.0.1:9"


def test_the_webserver_is_asked_directly(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.dumps({"data": {"workspaceOrError": {"locationEntries": [
                {"name": "dolphin", "loadStatus": "LOADED", "locationOrLoadError": {
                    "__typename": "PythonError", "message": "Could not reach user code server"}}
            ]}}}).encode()  # fmt: skip
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        found = dagster_api.code_trouble(server.server_port, 5.0)
    finally:
        server.shutdown()
        server.server_close()
    assert found == "Could not reach user code server"
