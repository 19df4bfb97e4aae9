"""One target under atheris, guided by coverage: run_atheris.py TARGET RUNS."""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["dolphin_realtime"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    name, runs = sys.argv[1], int(sys.argv[2])
    counts = [0, 0]

    def one_input(data: bytes) -> None:
        provider = atheris.FuzzedDataProvider(data)
        counts[0] += 1
        counts[1] += TARGETS[name](lambda n: provider.ConsumeIntInRange(0, n - 1))
        if counts[0] == runs:
            share = 100 * counts[1] // counts[0]
            print(f"atheris {name}: {counts[0]} inputs, {share}% passed", flush=True)

    atheris.Setup([sys.argv[0], f"-atheris_runs={runs}", f"-runs={runs}", "-max_len=64"], one_input)
    atheris.Fuzz()


main()
