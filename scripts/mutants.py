"""Change the code on the money and safety path, one place at a time, and see whether unit tests notice.

mutmut makes the changes and chooses the tests that reach each (`[tool.mutmut]` in pyproject.toml).
A seeded sample of them is run; changes of a text alone are left out of it. The survivors are
printed with what was changed. Fails below GOAL.
"""

import argparse
import ast
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).parents[1]
WORK = ROOT / "mutants"
GOAL = 0.9
NOTHING = "no.such.mutant"


def names() -> Iterator[str]:
    """Yield the mutants that change more than a text."""
    for meta in sorted(WORK.rglob("*.py.meta")):
        found = json.loads(meta.read_text())["exit_code_by_key"]
        bodies = _bodies(meta.with_suffix(""))
        for name in found:
            own = name.rpartition(".")[2]
            original = own.rpartition("__mutmut_")[0] + "__mutmut_orig"
            if own in bodies and bodies[own] != bodies.get(original):
                yield name


def _bodies(path: Path) -> dict[str, str]:
    """Return every function of a file without its name and its texts."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name = node.name
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    part.value = ""
            node.name = ""
            found[name] = ast.dump(node)
            node.name = name
    return found


def outcome(name: str) -> int | None:
    """Return how the tests ended with a mutant."""
    module = name.rpartition(".")[0].replace(".", "/")
    meta = json.loads((WORK / f"{module}.py.meta").read_text())
    return meta["exit_code_by_key"].get(name)


def _is_unnoticed(code: int | None) -> bool:
    """Return whether no test failed, or none reaches the place; a test that ran too long noticed."""
    return code is not None and status_by_exit_code[code] in ("survived", "no tests")


def mutmut(*words: str, log: Path) -> None:
    """Run mutmut; it fails where a mutant survives, and says the rest in its log."""
    with log.open("ab") as out:
        subprocess.run(
            [ROOT / ".venv/bin/mutmut", *words], cwd=ROOT, stdout=out, stderr=out, check=False
        )


def main() -> int:
    """Sample, run, print; return 1 below the goal."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sample", type=int, default=300)
    options.add_argument("--seed", type=int, default=18)
    args = options.parse_args()
    WORK.mkdir(exist_ok=True)
    log = WORK / "mutmut.log"
    mutmut("run", NOTHING, log=log)
    every = sorted(names())
    chosen = random.Random(args.seed).sample(every, min(args.sample, len(every)))
    mutmut("run", *chosen, log=log)
    ended = {name: outcome(name) for name in chosen}
    unrun = [name for name, code in ended.items() if code is None]
    survivors = [name for name, code in ended.items() if _is_unnoticed(code)]
    for name in sorted(survivors):
        shown = subprocess.run(
            [ROOT / ".venv/bin/mutmut", "show", name], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout  # fmt: skip
        lines = [
            line
            for line in shown.splitlines()
            if line[:1] in "+-" and line[:3] not in ("+++", "---")
        ]
        sys.stdout.write(f"{name}\n" + "\n".join(f"    {line}" for line in lines) + "\n")
    n = len(chosen) - len(unrun)
    share = (n - len(survivors)) / n if n else 0.0
    sys.stdout.write(f"{n - len(survivors)} of {n} changes noticed, {share:.1%}; {len(unrun)} not run; "
                     f"{len(every)} changes in all, seed {args.seed}\n")  # fmt: skip
    return int(share < GOAL or bool(unrun))


if __name__ == "__main__":
    sys.exit(main())
