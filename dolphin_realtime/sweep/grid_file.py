"""The file that defines a sweep: scans, days, and values for parameters.

Its fields, their meaning and their error messages belong here. All combinations of `grid` are
tried, and each set of `sets` as well.
"""

import itertools
import math
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import yaml

from dolphin_realtime.config.trader_parameters import changed, load_parameters
from dolphin_realtime.model.errors import SettingsError

MAX_SETS = 10_000
Value = int | float | str
Assignments = dict[str, Value]


class SweepFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sweep file, in YAML.

    Attributes:
        first: First day traded, YYYY-MM-DD, UTC; `from` in the file.
        last: Last day traded, included; `to` in the file.
        grid: Values to combine, by parameter.
        sets: Single parameter sets.
        scans: Archive or scan folder; empty: the stack's archive.
        warm_up_days: Days before each traded day that warm the signal up.
        factors: File or folder of external factors; empty: the stack's.
        instance: Whose parameters a set changes.
        instances: Several of them: every set is tried with the parameters of each.
    """

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    grid: dict[str, list[Value]] = {}
    sets: list[Assignments] = []
    scans: str = ""
    warm_up_days: int = 3
    factors: str = ""
    instance: str = "BLUE"
    instances: list[str] = []

    @property
    def bases(self) -> list[str]:
        """The instances whose parameters are changed."""
        return self.instances or [self.instance]


def read_sweep_file(path: Path) -> SweepFile:
    """Return a sweep file.

    Raises:
        SettingsError: If it cannot be read, is not a sweep file, or a parameter or value is
            refused; names the file, the field and the value.
    """
    try:
        raw: Any = yaml.safe_load(path.read_text())
        found = msgspec.convert(raw, SweepFile)
    except (OSError, ValueError, RecursionError, yaml.YAMLError, msgspec.ValidationError) as e:
        raise SettingsError(f"{path}: {e}; docs/sweep.md shows a sweep file") from e
    if found.last < found.first:
        raise SettingsError(f"{path}: field 'to' {found.last} is before 'from' {found.first}")
    if len(set(found.instances)) < len(found.instances):
        raise SettingsError(f"{path}: field 'instances' names one twice")
    n_sets = (math.prod(map(len, found.grid.values())) if found.grid else 0) + len(found.sets)
    if not 1 <= n_sets <= MAX_SETS:
        raise SettingsError(f"{path}: {n_sets} parameter sets; expected 1 to {MAX_SETS}")
    sets = sets_of(found)
    for base, one in itertools.product(map(load_parameters, found.bases), sets):
        try:
            changed(base, words_of(one))
        except SettingsError as e:
            raise SettingsError(f"{path}: {e}") from e
    return found


def sets_of(file: SweepFile) -> list[Assignments]:
    """Return every parameter set once, in the file's order."""
    names = list(file.grid)
    combined = [
        dict(zip(names, values, strict=True)) for values in itertools.product(*file.grid.values())
    ]
    wanted = [*(combined if names else []), *file.sets]
    return list({tuple(one.items()): one for one in wanted}.values())


def words_of(one: Assignments) -> list[str]:
    """Return a set as NAME=VALUE words."""
    return [f"{name}={value}" for name, value in one.items()]


def name_of(one: Assignments) -> str:
    """Return a set's name; equal sets have equal names."""
    return ", ".join(words_of(one)) or "as set"
