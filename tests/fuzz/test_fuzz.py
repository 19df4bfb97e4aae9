"""Mutated documents and files: nothing crashes, and no order comes of a bad one.

``FUZZ_RUNS`` inputs each from hypothesis, and as many from atheris in a process of its own:
10,000 in ``make fuzz``, 100,000 in ``make prove-fuzz``. The share that passes the parser is printed.
"""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

RUNS = int(os.environ.get("FUZZ_RUNS", "10000"))
LEAST_SHARE = 0.3


@pytest.mark.timeout(60 + RUNS // 50)
@pytest.mark.parametrize("name", TARGETS)
def test_hypothesis(name, capsys):
    passed = []

    @settings(
        max_examples=RUNS, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.integers(0, 2**64))
    def run(seed):
        rng = random.Random(seed)
        passed.append(TARGETS[name](lambda n: rng.randrange(n)))

    run()
    share = sum(passed) / len(passed)
    with capsys.disabled():
        print(f"\nhypothesis {name}: {len(passed)} inputs, {share:.0%} passed the parser")
    assert len(passed) >= RUNS
    assert share >= LEAST_SHARE


@pytest.mark.timeout(60 + RUNS // 20)
@pytest.mark.parametrize("name", TARGETS)
def test_atheris(name, capsys):
    script = Path(__file__).with_name("run_atheris.py")
    done = subprocess.run(
        [sys.executable, str(script), name, str(RUNS)],
        capture_output=True,
        text=True,
        check=False,
        cwd=script.parents[2],
    )
    found = re.search(r"atheris \w+: (\d+) inputs, (\d+)% passed", done.stdout)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    with capsys.disabled():
        print(f"\n{found[0]} the parser")
    assert int(found[1]) >= RUNS
    assert int(found[2]) >= 100 * LEAST_SHARE
