"""Sweeps: the file, the record, what may be believed of the best, all without a worker."""

import random

import msgspec
import numpy as np
import pytest

from dolphin_realtime.config.loading import load
from dolphin_realtime.config.trader_parameters import load_parameters
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.scans.archive import write_archive
from dolphin_realtime.sweep import run as sweeping
from dolphin_realtime.sweep.grid_file import name_of, read_sweep_file, sets_of
from dolphin_realtime.sweep.local import run_local
from dolphin_realtime.sweep.record import TrialRecord
from dolphin_realtime.sweep.trial import Trial, TrialResult, run_trial
from dolphin_realtime.sweep.verdict import figures_of_sets, judge, overfitting, walk_forward
from tests.scans import walk

DAYS = ["2025-05-13", "2025-05-14", "2025-05-15"]


def sweep_file(folder, text):
    path = folder / "grid.yaml"
    path.write_text(text)
    return path


def test_a_grid_is_every_combination_once(tmp_path):
    file = read_sweep_file(
        sweep_file(
            tmp_path,
            "from: 2025-05-13\nto: 2025-05-15\ngrid: {s_in: [1, 2], band: [0.1, 0.2]}\n"
            "sets: [{s_in: 1, band: 0.1}, {asset_cap: 0.02}]\n",
        )
    )
    names = [name_of(one) for one in sets_of(file)]
    assert names == [
        "s_in=1, band=0.1", "s_in=1, band=0.2", "s_in=2, band=0.1", "s_in=2, band=0.2",
        "asset_cap=0.02",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from: 2025-05-13\n", "missing required field `to`"),
        ("from: [1]\nto: 2025-05-15\ngrid: {s_in: [1]}\n", "`from`|\\$.from"),
        ("from: 2025-05-15\nto: 2025-05-13\ngrid: {s_in: [1]}\n", "field 'to' 2025-05-13"),
        ("from: 2025-05-13\nto: 2025-05-15\n", "0 parameter sets"),
        ("from: 2025-05-13\nto: 2025-05-15\ngrid: {s_inn: [1]}\n", "unknown parameter 's_inn'"),
        ("from: 2025-05-13\nto: 2025-05-15\ngrid: {s_in: [-1]}\n", "parameter refused"),
        ("from: 2025-05-13\nto: 2025-05-15\ngird: {s_in: [1]}\n", "gird"),
        ("{", "grid.yaml"),
        ("from: 2025-13-45\nto: 2025-05-15\ngrid: {s_in: [1]}\n", "month must be in"),
        ("[" * 3000, "grid.yaml"),
        (
            "from: 2025-05-13\nto: 2025-05-15\ngrid: {s_in: &a [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,"
            "17,18,19,20,21,22,23,24,25], s_out: *a, s_full: *a, band: *a, tau_x_s: *a, tau_s_s: *a}\n",
            "244140625 parameter sets",
        ),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path, text, said):
    with pytest.raises(SettingsError, match=said) as caught:
        read_sweep_file(sweep_file(tmp_path, text))
    assert "grid.yaml" in str(caught.value)


def result(set_name, day, returns, failure=None):
    return TrialResult(
        key=f"{set_name}{day}", set_name=set_name, day=day, net=100_000 * sum(returns),
        returns=tuple(returns), failure=failure, start_equity=100_000.0,
    )  # fmt: skip


def test_the_record_keeps_every_trial_and_takes_up_where_it_was(tmp_path):
    path = tmp_path / "trials.jsonl"
    with TrialRecord(path) as record:
        record.add(result("a", DAYS[0], [0.1]))
        record.add(result("b", DAYS[0], [], failure="its worker died"))
    with path.open("ab") as file:
        file.write(b'{"key": "torn')
    with TrialRecord(path) as record:
        assert record.is_done(f"a{DAYS[0]}")
        assert not record.is_done(f"b{DAYS[0]}")
        record.add(result("b", DAYS[0], [0.2]))
    with TrialRecord(path) as record:
        assert record.results[f"b{DAYS[0]}"].returns == (0.2,)
        assert len(record.results) == 2


def noise(seed, hours=24, mean=0.0):
    rng = random.Random(seed)
    return [rng.gauss(mean, 1e-3) for _ in range(hours)]


def trials(means):
    return [
        result(f"set{n}", day, noise(f"{n}{day}", mean=mean))
        for n, mean in enumerate(means)
        for day in DAYS
    ]


def verdict_of(found):
    names = list(dict.fromkeys(r.set_name for r in found))
    sets = figures_of_sets(names, DAYS, found)
    return sets, judge(sets, DAYS, found)


def test_the_best_of_worthless_sets_is_called_luck():
    _, verdict = verdict_of(trials([0.0] * 20))
    assert verdict.deflated_sharpe < 0.95
    assert "no more than luck" in verdict.warning
    assert len(verdict.walk_forward) == 2


def test_a_set_that_is_really_better_is_seen():
    sets, verdict = verdict_of(trials([0.0] * 9 + [2e-3]))
    assert sets[0].name == verdict.best == "set9"
    assert verdict.deflated_sharpe > 0.95
    assert verdict.overfitting == 0.0
    assert {c.chosen for c in verdict.walk_forward} == {"set9"}
    assert verdict.walk_forward_net == pytest.approx(sum(c.net for c in verdict.walk_forward))


def test_more_trials_make_the_same_result_less_believable():
    few = verdict_of(trials([0.0] * 4 + [3e-4]))[1]
    many = verdict_of(trials([0.0] * 59 + [3e-4]))[1]
    assert many.expected_max_sharpe > few.expected_max_sharpe


def test_overfitting_of_a_set_that_only_lives_on_chance():
    """Each set is good in one block alone: the best inside is the worst outside."""
    matrix = np.full((100, 10), -1e-3) + 1e-6 * np.random.default_rng(1).standard_normal((100, 10))
    for n in range(10):
        matrix[n * 10 : n * 10 + 10, n] += 0.1
    assert overfitting(matrix) == 1.0
    assert overfitting(matrix[:15]) is None
    assert overfitting(matrix[:, :1]) is None


def test_overfitting_of_noise_is_about_a_half():
    found = [
        overfitting(np.random.default_rng(seed).standard_normal((200, 10))) for seed in range(30)
    ]
    assert 0.35 < sum(found) / len(found) < 0.65


def test_the_walk_forward_chooses_on_days_before_alone():
    days = {"a": [[0.02, 0.01], [-0.02, -0.01]], "b": [[0.01, -0.01], [0.03, 0.02]]}
    found = [result(name, DAYS[n], r) for name, rows in days.items() for n, r in enumerate(rows)]
    matrix = np.array([[*days["a"][0], *days["a"][1]], [*days["b"][0], *days["b"][1]]]).T
    spans = {DAYS[0]: slice(0, 2), DAYS[1]: slice(2, 4)}
    (choice,) = walk_forward(["a", "b"], matrix, spans, found)
    assert (choice.day, choice.chosen) == (DAYS[1], "a")
    assert choice.net == pytest.approx(-3000.0)


def test_a_failed_set_is_last_counts_as_tried_and_is_not_judged():
    found = trials([0.0] * 4)
    found[1] = result("set0", DAYS[1], [], failure="its worker died")
    sets, verdict = verdict_of(found)
    assert sets[-1].name == "set0"
    assert sets[-1].failures == [f"{DAYS[1]}: its worker died"]
    assert verdict.trials == 4
    assert verdict.best != "set0"


def test_too_little_data_is_said():
    found = [result(n, DAYS[0], [0.1, 0.2]) for n in ("a", "b")]
    sets = figures_of_sets(["a", "b"], DAYS[:1], found)
    verdict = judge(sets, DAYS[:1], found)
    assert verdict.warning.startswith("Not enough data: 2 hourly returns")
    assert verdict.deflated_sharpe is None


def test_what_goes_wrong_in_a_trial_is_its_result(tmp_path):
    archive = tmp_path / "archive"
    write_archive(archive / "2024-08-07.parquet", ((s, "x") for s in walk(30)))
    text = f"from: 2024-08-07\nto: 2024-08-07\nscans: {archive}\ngrid: {{s_in: [1.0, 2.0]}}\n"
    file = read_sweep_file(sweep_file(tmp_path, text))
    plan = sweeping.plan_of(file, load({}))
    days, found = plan.days, plan.trials
    assert (days, len(found), len({t.key for t in found})) == (["2024-08-07"], 2, 2)
    good = run_trial(found[0])
    assert (good.failure, good.key) == (None, found[0].key)
    factors = tmp_path / "factors.parquet"
    factors.write_bytes(b"one")
    with_factors = msgspec.structs.replace(file, factors=str(factors))
    first = sweeping.plan_of(with_factors, load({})).trials[0].key
    factors.write_bytes(b"another")
    assert sweeping.plan_of(with_factors, load({})).trials[0].key != first
    (archive / "2024-08-07.parquet").write_bytes(b"gone bad")
    bad = run_trial(found[0])
    assert "ScanFileError" in bad.failure
    assert sweeping.plan_of(file, load({})).trials[0].key != found[0].key


def test_more_trials_than_a_pool_bears_all_end(monkeypatch):
    monkeypatch.setattr("dolphin_realtime.sweep.local.TRIALS_A_WORKER", 3)
    found = [
        Trial(
            set_name="x", assignments=(), day=DAYS[0], scans="/nowhere", warm_up_days=0, factors="",
            parameters=load_parameters("", {}), key=str(n),
        )
        for n in range(8)
    ]  # fmt: skip
    results = list(run_local(found, 1))
    assert {r.key for r in results} == {str(n) for n in range(8)}
    assert all("nowhere" in r.failure for r in results)
