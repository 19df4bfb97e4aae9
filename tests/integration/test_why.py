"""`dolphin why`: what is recomputed is what was journalled, and the change it names does turn it.

WHY says how many decisions (default 200; `make prove-why`: 1000, and the time of the command).
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from statistics import median

import msgspec
import pytest

from dolphin_realtime.config.loading import load
from dolphin_realtime.scans.days import ScanDays
from dolphin_realtime.why.explain import explain
from dolphin_realtime.why.replay import read_day, replay
from dolphin_realtime.why.show import as_page, as_text
from dolphin_realtime.why.turning import NOTHING, Case, turns
from tests.days.home import INSTANCES, record, settings_of

ASKED = int(os.environ.get("WHY", "200"))
COMMANDS = 20 if ASKED >= 1000 else 2


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Two recorded days, traded on paper by two instances, a scan a minute."""
    home = tmp_path_factory.mktemp("why")
    days = record(home, 2, cadence_s=60.0)
    return home, days[:2], settings_of(home, days)


@pytest.fixture
def settings(stack, monkeypatch):
    for name, value in stack[2].items():
        monkeypatch.setenv(name, value)
    return load()


def sampled(settings, days, n):
    """Return n random journalled decisions as (day, instance, instant, asset)."""
    found = []
    for day in days:
        for instance in INSTANCES:
            known = read_day(settings, instance, day)
            found += sorted(
                {(day, instance, at, row["asset"]) for at, rows in known.decisions.items() for row in rows}
            )  # fmt: skip
    return random.Random(7).sample(found, n)


def moments(settings, wanted):
    """Yield (moment, asset, rows of the day) of each sampled decision, one replay a day."""
    for day, instance in sorted({one[:2] for one in wanted}):
        known = read_day(settings, instance, day)
        assets = {}
        for one in wanted:
            if one[:2] == (day, instance):
                assets.setdefault(one[2], []).append(one[3])
        scans = ScanDays.of(settings.scans).scans(day)
        for moment in replay(settings, instance, day, scans, known, assets.__contains__):
            for asset in assets[moment.plan.scan.timestamp_us]:
                yield instance, moment, asset, known


@pytest.mark.timeout(600)
def test_recomputed_is_journalled(settings, stack):
    wanted = sampled(settings, stack[1], ASKED)
    equal = with_order = 0
    for instance, moment, asset, known in moments(settings, wanted):
        found = explain(instance, moment, asset, known)
        assert found.journalled is not None
        assert found.differences == [], (found.scan_number, asset)
        if found.stages and found.decided.orders:
            assert found.stages[-1].usd == pytest.approx(found.decided.target, abs=1e-6)
        score = found.score
        if score.get("its_deviation"):
            assert score["residual_sum"] / score["its_deviation"] == pytest.approx(score["score"])
        equal += 1
        with_order += bool(found.decided.orders)
    print(json.dumps({"asked": len(wanted), "equal": equal, "with_order": with_order}))
    assert equal == len(wanted)
    assert with_order > 0


@pytest.mark.timeout(300)
def test_the_change_it_names_turns_the_decision(settings, stack):
    """The decision with that input is another one; with a change half as large it is the same."""
    seen = 0
    for instance, moment, asset, known in moments(settings, sampled(settings, stack[1], 60)):
        explain(instance, moment, asset, known)  # as the command does, before
        found = turns(moment, asset)
        if not found:
            continue
        case = Case(moment, asset)
        now = case.action(case.inputs)
        decision = next(d for d in moment.plan.decisions if d.asset == asset) if now != NOTHING else None  # fmt: skip
        assert (decision is not None and bool(decision.orders)) == (now != NOTHING)
        assert [t.size for t in found] == sorted(t.size for t in found)
        for turn in found:
            if turn.input not in case.inputs.__struct_fields__ or isinstance(turn.was, str):
                continue
            seen += 1
            changed = msgspec.structs.replace(case.inputs, **{turn.input: turn.would_be})
            assert case.action(changed) == turn.becomes != now
            half = (turn.was + turn.would_be) / 2.0
            less = msgspec.structs.replace(case.inputs, **{turn.input: half})
            assert case.action(less) == now
    assert seen > 10


@pytest.mark.parametrize("limit", ["", "MAX_GROSS_SHARE=0.05", "MAX_NET_SHARE=0.03", "MAX_ORDERS_PER_MINUTE=1"])  # fmt: skip
def test_the_case_decides_as_the_trader_did(settings, stack, monkeypatch, limit):
    """The function whose inputs are moved: with the inputs as they were it does what was done."""
    if limit:
        name, _, value = limit.partition("=")
        monkeypatch.setenv(f"DOLPHIN_LIMIT_{name}", value)
    seen = 0
    for _, moment, asset, _ in moments(settings, sampled(settings, stack[1], 150)):
        try:
            case = Case(moment, asset)
        except LookupError:
            continue
        decided = next((d for d in moment.plan.decisions if d.asset == asset), None)
        sides = [o.side for o in decided.orders] if decided else []
        said = case.action(case.inputs)
        assert [word.split()[0] for word in said.split(", ") if word != NOTHING] == sides
        seen += bool(sides)
    assert seen > 0 or limit


def command(settings_env, *words):
    env = {k: v for k, v in os.environ.items() if not k.startswith("DOLPHIN_")} | settings_env
    return subprocess.run(
        [sys.executable, "-m", "dolphin_realtime.cli", "why", *words],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.timeout(300)
def test_the_command_explains_one(settings, stack):
    _, days, env = stack
    took = []
    for day, instance, at_us, asset in sampled(settings, days, COMMANDS):
        at = time.gmtime(at_us // 1_000_000)
        began = time.monotonic()
        done = command(env, day, time.strftime("%H:%M:%S", at), asset, "--instance", instance, "--json")  # fmt: skip
        took.append(time.monotonic() - began)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert (said["asset"], said["timestamp_us"], said["differences"]) == (asset, at_us, [])
    print(json.dumps({"commands": len(took), "median_s": round(median(took), 2), "most_s": round(max(took), 2)}))  # fmt: skip


def test_what_the_journal_says_otherwise_is_named(settings, stack, tmp_path, monkeypatch):
    """A row that was changed by hand is a difference, and the command's status says so."""
    home, days, env = stack
    shutil.copytree(home / "journal", tmp_path / "journal")
    shutil.copytree(home / "scans", tmp_path / "scans")
    import sqlite3

    (day, instance, at_us, asset) = sampled(settings, days, 1)[0]
    with sqlite3.connect(tmp_path / "journal" / instance / "journal.sqlite") as db:
        db.execute("UPDATE decisions SET target = target + 1.0 WHERE timestamp_us = ? AND asset = ?", (at_us, asset))  # fmt: skip
    db.close()
    at = time.strftime("%H:%M:%S", time.gmtime(at_us // 1_000_000))
    done = command({**env, "DOLPHIN_HOME": str(tmp_path)}, day, at, asset, "--instance", instance)
    assert done.returncode == 1
    assert "target: " in done.stdout
    assert "journalled" in done.stdout


def test_an_order_that_was_sent_otherwise_than_it_is_recomputed_is_booked_as_it_was_sent(
    settings, stack, tmp_path
):
    """Its fills are of what was sent; the decisions after it are explained all the same."""
    home, days, env = stack
    shutil.copytree(home / "journal", tmp_path / "journal")
    shutil.copytree(home / "scans", tmp_path / "scans")
    import sqlite3

    (day, instance, at_us, asset) = sampled(settings, days, 1)[0]
    with sqlite3.connect(tmp_path / "journal" / instance / "journal.sqlite") as db:
        begin_us = at_us // 86_400_000_000 * 86_400_000_000
        sent = db.execute(
            "SELECT o.client_order_id, round(o.quantity / 2, f.size_digits) FROM orders o JOIN fills f USING (client_order_id)"
            " WHERE o.timestamp_us BETWEEN ? AND ? AND NOT o.reduce_only AND f.quantity = o.quantity LIMIT 1",
            (begin_us, at_us - 120_000_000),
        ).fetchone()
        assert sent is not None, "an order before the question"
        for text in ("UPDATE orders SET quantity = ? WHERE client_order_id = ?",
                     "UPDATE fills SET quantity = ? WHERE client_order_id = ?",
                     "UPDATE order_events SET filled = ? WHERE client_order_id = ?"):  # fmt: skip
            db.execute(text, sent[::-1])
    db.close()
    at = time.strftime("%H:%M:%S", time.gmtime(at_us // 1_000_000))
    done = command({**env, "DOLPHIN_HOME": str(tmp_path)}, day, at, asset, "--instance", instance)
    assert "Traceback" not in done.stderr
    assert "The decision" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("99:00:00", "BTCUSDT"), "no time of day"),
        (("BTCUSDT",), r"give \[DAY\] TIME ASSET"),
        (("2025-05-12", "12:00:00", "NOSUCH"), "is not in that scan"),
        (("2031-01-01", "12:00:00", "BTCUSDT"), "handled no scan"),
        (("2025-05-12", "12:00:00", "BTCUSDT", "--instance", "RED"), "RED"),
    ],
)
def test_a_wrong_question_says_what_to_do(stack, words, said):
    import re

    done = command(stack[2], *words)
    assert done.returncode != 0
    assert re.search(said, done.stderr), done.stderr


def test_text_and_page_say_the_same(settings, stack):
    ((instance, moment, asset, known),) = moments(settings, sampled(settings, stack[1], 1))
    found = explain(instance, moment, asset, known)
    found.turns = turns(moment, asset)
    text, page = as_text(found), as_page(found)
    for heading in ("The decision", "Gates", "Target", "Limits", "What became of it", "Journal"):
        assert heading in text
        assert f"<h2>{heading}</h2>" in page
