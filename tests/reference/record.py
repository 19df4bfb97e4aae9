"""`make record-reference`: trade every recorded day and write down what came of it.

    python -m tests.reference.record [RECORD ...] [--days N] [--compare]

Writes tests/data/reference/<record>.json; with --compare it writes nothing, prints each list
that differs and exits with 1 where one does.
"""

import argparse
import hashlib
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from dolphin_realtime.backtest.run import backtest_to_journal
from dolphin_realtime.books.documents import BookFeed
from dolphin_realtime.factors.documents import FactorHistory
from dolphin_realtime.model.signal.state import SignalState
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.scans.days import ScanDays
from dolphin_realtime.trading.warm_up import warm_up_from
from tests.reference.digest import QUERIES, digest, lists_of
from tests.reference.worlds import (
    INSTANCES,
    RECORDS,
    archive_span,
    books_of_days,
    factors_of,
    market_of,
    portfolio_of,
)

FOLDER = Path(__file__).parents[1] / "data" / "reference"
WAYS = ("plain", "books+factors")


def archived(name: str, folder: Path, n_days: int) -> ScanDays:
    """Write the warm-up day and ``n_days`` to trade as archives and return them."""
    market = market_of(RECORDS[name])
    archive_days(market, folder, *archive_span(market, n_days))
    return ScanDays.of(folder)


def arithmetic(found: ScanDays) -> str:
    """Return a hash of the first day's eigenvalues and signals.

    Another processor's mathematics may give other last digits; where this differs, lists
    cannot be equal to the last digit, whatever the code does.
    """
    state, text = SignalState(None), hashlib.sha256()
    for scan in found.scans(found.days[0]):
        signal = state.step(msgspec.structs.replace(scan, epoch=1))
        text.update(repr((scan.eigenvalues, signal.s_score, signal.r_ar, signal.r_vol)).encode())
    return text.hexdigest()[:24]


def trade(name: str, instance: str, way: str, found: ScanDays, out: Path) -> dict[str, list]:
    """Trade all days but the first with an instance's parameters and return the lists."""
    record = RECORDS[name]
    days = found.days[1:]
    portfolio = portfolio_of(instance, record)
    warm_up_from(portfolio, found, 1, days[0])
    is_plain = way == "plain"
    books = BookFeed([]) if is_plain else books_of_days(found, days)
    factors = FactorHistory([]) if is_plain else factors_of(record)
    scans = itertools.chain.from_iterable(found.scans(day) for day in days)
    backtest_to_journal(portfolio, scans, out, books, factors)
    return lists_of(out)


def run(name: str, n_days: int) -> dict:
    """Return a record's reference over its first ``n_days``."""
    with tempfile.TemporaryDirectory(prefix="dolphin-reference-") as scratch:
        found = archived(name, Path(scratch) / "archive", n_days)
        cases = {
            f"{instance} {way}": digest(
                trade(name, instance, way, found, Path(scratch) / f"{instance}-{way}")
            )
            for instance in INSTANCES
            for way in WAYS
        }
        return {"arithmetic": arithmetic(found), "cases": cases}


def load(name: str) -> dict:
    """Return what was recorded."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def differences(expected: dict, found: dict) -> list[str]:
    """Return, for each list of each day that differs, what was recorded and what came now."""
    return [
        f"{case} {day} {name}: recorded {expected['cases'][case][day].get(name)}, now {lists.get(name)}"
        for case, days in found["cases"].items()
        for day, lists in days.items()
        for name in QUERIES
        if expected["cases"][case].get(day, {}).get(name) != lists.get(name)
    ]


def _write(name: str, found: dict) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = [f'{{"arithmetic": {json.dumps(found["arithmetic"])}, "cases": {{']
    for n, (case, days) in enumerate(found["cases"].items()):
        rows = ",\n".join(f"  {json.dumps(day)}: {json.dumps(v)}" for day, v in days.items())
        end = "}," if n + 1 < len(found["cases"]) else "}"
        lines.append(f" {json.dumps(case)}: {{\n{rows}\n {end}")
    (FOLDER / f"{name}.json").write_text("\n".join([*lines, "}}", ""]))


def main() -> int:
    """Record, or compare with what was recorded."""
    parser = argparse.ArgumentParser()
    parser.add_argument("records", nargs="*", default=list(RECORDS))
    parser.add_argument("--days", type=int, default=10_000)
    parser.add_argument("--compare", action="store_true")
    args = parser.parse_args()
    faults = 0
    for name in args.records:
        began = time.monotonic()
        found = run(name, min(args.days, RECORDS[name].days))
        if args.compare:
            said = differences(load(name), found)
            faults += len(said)
            print("\n".join(said))
        else:
            _write(name, found)
        print(f"{name}: {_counts(found)}; {time.monotonic() - began:.0f} s", flush=True)
    return 1 if faults else 0


def _counts(found: dict) -> str:
    days = [day for case in found["cases"].values() for day in case.values()]
    total = {n: sum(d[n][0] for d in days if n in d) for n in ("orders", "fills", "decisions")}
    return f"{len(days)} days, " + ", ".join(f"{count:,} {name}" for name, count in total.items())


if __name__ == "__main__":
    sys.exit(main())
