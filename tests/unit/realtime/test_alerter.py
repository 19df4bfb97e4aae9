"""From the file of alerts to a message at each receiver: grouped, once, whatever fails."""

import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from dolphin_realtime.model.errors import DeliveryError, SettingsError
from dolphin_realtime.runtime.alert_log import FILE, Alert, standing, write_alert
from dolphin_realtime.services.alerter import outbox
from dolphin_realtime.services.alerter.episodes import Item
from dolphin_realtime.services.alerter.message import SHOWN, body_of, title_of
from dolphin_realtime.services.alerter.outbox import GROUP_MAX_S, GROUP_S, Outbox
from dolphin_realtime.services.alerter.targets import Kind, read_targets, send

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def alert(asset="bridge", state="red", **facts):
    return Alert(
        ts=AT, asset=asset, check="is_alive", state=state, facts=facts or {"why": "it was stopped"},
        runbook="docs/runbook.md#bridge-is_alive",
    )  # fmt: skip


def names(due):
    return [item.alert.asset for item in due.items]


def late(seconds=3600):
    """A time at which nothing waits for its cause any more."""
    return AT + timedelta(seconds=seconds)


class Box(Outbox):
    """An outbox an hour after the alerts of these tests."""

    def due(self, name, now_s, wall=None):
        return super().due(name, now_s, wall or late())


def test_a_message_says_what_why_and_what_to_do():
    safety = alert("safety", "recovered", posture="NORMAL", size=1)
    both = [Item("red", alert()), Item("recovered", safety, (("trader_blue", "is_alive"),))]
    assert title_of(both, "host") == "Dolphin on host: 1 red, 1 recovered"
    assert body_of(both) == (
        "RED: bridge is_alive, 2026-01-01 12:00:00 UTC\nit was stopped\n"
        "What to do: docs/runbook.md#bridge-is_alive\n\n"
        "recovered: safety is_alive, 2026-01-01 12:00:00 UTC\nposture NORMAL, size 1\n"
        "And with it: trader_blue is_alive"
    )


def test_many_alerts_are_counted():
    body = body_of([*[Item("red", alert())] * (SHOWN + 2), Item("red", alert("newest"))])
    assert body.startswith("3 earlier ones: dolphin alerts history")
    assert "newest" in body


def test_what_stands_is_the_last_red_of_each():
    found = standing([alert(), alert("safety"), alert(state="recovered"), alert("safety")])
    assert [key[0] for key in found] == ["safety"]


def test_what_comes_together_is_one_message_and_is_sent_once(tmp_path):
    box = Box(tmp_path, ["a"])
    assert box.due("a", 0.0) is None
    write_alert(tmp_path, alert())
    assert box.due("a", 1.0) is None, "more may come"
    write_alert(tmp_path, alert("safety"))
    assert box.due("a", 2.0) is None
    due = box.due("a", 2.0 + GROUP_S)
    assert names(due) == ["bridge", "safety"]
    box.taken("a", due)
    assert box.due("a", 99.0) is None
    assert Box(tmp_path, ["a"]).due("a", 0.0) is None, "nor after a restart"


def test_a_stream_of_alerts_is_not_held_back_for_ever(tmp_path):
    box = Box(tmp_path, ["a"])
    for second in range(int(GROUP_MAX_S) + 1):
        write_alert(tmp_path, alert())
        due = box.due("a", float(second))
    assert due is not None


def test_a_receiver_that_is_away_gets_it_later_and_the_others_once(tmp_path):
    box = Box(tmp_path, ["away", "there"])
    write_alert(tmp_path, alert())
    box.due("away", 0.0), box.due("there", 0.0)
    box.taken("there", box.due("there", 5.0))
    assert box.due("away", 5.0)
    pauses = [box.refused("away", 5.0) for _ in range(10)]
    assert pauses[:3] == [10.0, 20.0, 40.0]
    assert pauses[-1] == outbox.PAUSE_MAX_S
    assert box.due("away", 6.0) is None
    assert names(box.due("away", 700.0)) == ["bridge"]
    assert box.due("there", 700.0) is None


def test_a_new_receiver_is_told_what_is_red_and_nothing_else_of_the_past(tmp_path):
    for one in (alert(), alert("safety"), alert(state="recovered")):
        write_alert(tmp_path, one)
    box = Box(tmp_path, ["new"])
    due = box.due("new", 0.0)
    assert names(due) == ["safety"]
    box.taken("new", due)
    assert box.due("new", 99.0) is None
    calm = tmp_path / "calm"
    assert Box(calm, ["new"]).due("new", 0.0) is None


def test_a_receiver_whose_token_was_rotated_goes_on_where_it_stood(tmp_path):
    Box(tmp_path, ["old"])
    write_alert(tmp_path, alert())
    box = Box(tmp_path, ["new"])
    box.due("new", 0.0)
    assert names(box.due("new", 5.0)) == ["bridge"]


def test_a_full_disk_sends_a_message_no_second_time_while_it_runs(tmp_path, monkeypatch):
    box = Box(tmp_path, ["a"])
    write_alert(tmp_path, alert())
    box.due("a", 0.0)
    due = box.due("a", 5.0)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outbox.files, "replace", full)
    with pytest.raises(OSError, match="No space"):
        box.taken("a", due)
    assert box.due("a", 99.0) is None


def test_an_alert_that_is_cut_off_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("os.write", lambda fd, data: len(data) - 1)
    with pytest.raises(OSError, match="only"):
        write_alert(tmp_path, alert())


def test_a_receiver_keeps_its_place_over_a_restart(tmp_path):
    Box(tmp_path, ["a"])
    write_alert(tmp_path, alert())
    box = Box(tmp_path, ["a"])
    box.due("a", 0.0)
    assert names(box.due("a", 5.0)) == ["bridge"]


def test_a_torn_or_foreign_line_is_passed_over(tmp_path):
    box = Box(tmp_path, ["a"])
    write_alert(tmp_path, alert())
    with (tmp_path / FILE).open("ab") as f:
        f.write(b'nonsense\n{"half":')
    box.due("a", 0.0)
    due = box.due("a", 5.0)
    assert names(due) == ["bridge"]
    assert due.after.place == (tmp_path / FILE).stat().st_size - len(b'{"half":')


def targets_file(folder, text, mode=0o600):
    path = folder / "targets"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_target_is_known_without_its_secret(tmp_path):
    path = targets_file(
        tmp_path, f"# on call\n\njson://user:secret@127.0.0.1/x\nfile://{tmp_path}/o\n"
    )
    first, second = read_targets(path)
    assert first.name.startswith("json-")
    assert "secret" not in first.name
    assert second.name.startswith("file-")


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("what://secret@x\n", 0o600, "line 1: no Apprise URL"),
        ("\nnonsense secret\n", 0o600, "line 2: no Apprise URL"),
        ("file:///x\n", 0o644, "chmod 600"),
    ],
)
def test_a_file_of_targets_that_will_not_do_is_refused_without_its_secrets(
    tmp_path, text, mode, said
):
    with pytest.raises(SettingsError, match=said) as e:
        read_targets(targets_file(tmp_path, text, mode))
    assert "secret" not in str(e.value)


def test_a_file_takes_what_is_sent_and_one_that_cannot_says_so(tmp_path):
    (good,) = read_targets(targets_file(tmp_path, f"file://{tmp_path}/out\n"))
    send(good, "title", "body")
    assert (tmp_path / "out").read_text() == "title\nbody\n\n"
    (bad,) = read_targets(targets_file(tmp_path, f"file://{tmp_path}/no/such/folder\n"))
    with pytest.raises(DeliveryError, match="was not written"):
        send(bad, "title", "body")


def test_a_webhook_that_is_away_says_so(tmp_path):
    (target,) = read_targets(targets_file(tmp_path, "json://127.0.0.1:1/x\n"))
    with pytest.raises(DeliveryError, match="did not take"):
        send(target, "title", "body")


@pytest.fixture
def web():
    """A receiver on loopback: `taken` holds (path, body) of what came, `answer` is its status."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.server.taken.append((self.path, body))
            self.send_response(self.server.answer)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.taken, server.answer = [], 200
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_a_webhook_is_sent_the_message(tmp_path, web):
    url = f"json://127.0.0.1:{web.server_port}/hook\n"
    (target,) = read_targets(targets_file(tmp_path, url))
    send(target, "1 red", "RED: bridge")
    ((path, sent),) = web.taken
    assert path == "/hook"
    document = json.loads(sent)
    assert (document["title"], document["message"]) == ("1 red", "RED: bridge")
    web.answer = 500
    with pytest.raises(DeliveryError, match="did not take"):
        send(target, "1 red", "RED: bridge")


def test_a_message_too_long_for_its_receiver_comes_in_parts(tmp_path, web):
    url = f"ntfy://127.0.0.1:{web.server_port}/oncall\n"
    (target,) = read_targets(targets_file(tmp_path, url))
    body = "\n".join(f"line {n}" for n in range(1500))
    send(target, "1 red", body)
    assert len(web.taken) > 1
    assert all("oncall" in path or '"oncall"' in sent for path, sent in web.taken)
    said = "\n".join(sent for _, sent in web.taken)
    assert [f"line {n}" in said for n in (0, 1499)] == [True, True]


def test_an_outside_watch_is_called_and_told_nothing(tmp_path, watch):
    """A line heartbeat+http:// is a GET of that address; a test message calls it too."""
    (target,) = read_targets(targets_file(tmp_path, f"heartbeat+http://127.0.0.1:{watch.server_port}/beat/token\n"))  # fmt: skip
    assert (target.kind, "token" in target.name) == (Kind.HEARTBEAT, False)
    send(target, "title", "body")
    assert watch.called == ["/beat/token"]
    watch.answer = 500
    with pytest.raises(DeliveryError, match="it answered 500") as e:
        send(target, "title", "body")
    assert "token" not in str(e.value)


@pytest.fixture
def watch():
    """An outside watch on loopback: `called` holds the paths that were asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.called.append(self.path)
            self.send_response(self.server.answer)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.called, server.answer = [], 200
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("line", ["heartbeat+https://[::1/x", "alertmanager://h:abc/", "alertmanager://"])  # fmt: skip
def test_an_address_that_is_none_is_refused_by_its_line(tmp_path, line):
    with pytest.raises(SettingsError, match="line 2: no Apprise URL"):
        read_targets(targets_file(tmp_path, f"# one\n{line}\n"))


@pytest.mark.parametrize("line", ["heartbeat+https://a..b/secret", "alertmanager://a\x01b/"])
def test_an_address_that_cannot_be_asked_is_undelivered(tmp_path, line):
    (target,) = read_targets(targets_file(tmp_path, f"{line}\n"))
    with pytest.raises(DeliveryError) as e:
        send(target, "title", "body")
    assert "secret" not in str(e.value)


def test_a_receiver_that_is_away_for_weeks_is_asked_again(tmp_path):
    box = Box(tmp_path, ["a"])
    assert [box.refused("a", 0.0) for _ in range(2000)][-1] == outbox.PAUSE_MAX_S
