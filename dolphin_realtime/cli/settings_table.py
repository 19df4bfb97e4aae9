"""Every setting: its group, what it means (from its struct's docstring), its default, and its value.

The structs are the one place of a setting; this reads them for `dolphin settings`.
"""

import inspect
import re
import textwrap
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from dolphin_realtime.config.factor_sources import SourceSettings
from dolphin_realtime.config.live import LiveSettings
from dolphin_realtime.config.settings import PREFIX, Settings
from dolphin_realtime.config.settings_file import (
    INSTANCE,
    OF_A_TRADER,
    STACK,
    TABLES,
)
from dolphin_realtime.model.market.paper_faults import PaperFaults
from dolphin_realtime.model.portfolio.costs import CostParams
from dolphin_realtime.model.portfolio.decision import TargetParams
from dolphin_realtime.model.risk.posture import SafetyParams
from dolphin_realtime.model.risk.pre_trade import PreTradeParams
from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.replay.service import ReplaySettings

GROUPS: Final[dict[str, type[msgspec.Struct]]] = {
    STACK: Settings,
    "signal": SignalParams,
    "target": TargetParams,
    "cost": CostParams,
    "limit": PreTradeParams,
    "paper": PaperFaults,
    "safety_limit": SafetyParams,
    "source": SourceSettings,
    "live": LiveSettings,
    "replay": ReplaySettings,
}


OF_INSTANCE: Final = re.compile(
    rf"{PREFIX}([A-Za-z0-9]+)__((?:{'|'.join(OF_A_TRADER.values())})\w+)"
)


class Setting(NamedTuple):
    """One setting; ``source`` is default, environment, or the file that it comes from."""

    table: str
    name: str
    variable: str
    value: str
    default: str
    source: str
    means: str


def settings_of(env: Mapping[str, str], file: Mapping[str, str], path: str) -> list[Setting]:
    """Return every setting with its value and where that comes from.

    Args:
        env: The environment, without what the file adds to it.
        file: The file's settings as variables.
        path: The file.
    """

    def source_of(variable: str) -> str:
        return "environment" if variable in env else path if variable in file else "default"

    both = {**file, **env}
    found = []
    for table, kind in GROUPS.items():
        means = meanings(kind)
        for field in msgspec.structs.fields(kind):
            variable = f"{PREFIX}{TABLES[table]}{field.name.upper()}"
            default = _said(field.default)
            value = both.get(variable, default)
            means_it = means.get(field.name, "")
            found.append(
                Setting(table, field.name, variable, value, default, source_of(variable), means_it)
            )
    for variable in sorted(both):
        of_instance = OF_INSTANCE.fullmatch(variable)
        if of_instance is not None:
            name, general = of_instance[1], f"{PREFIX}{of_instance[2]}"
            base = next(s for s in found if s.variable == general)
            table, value = f"{INSTANCE}.{name}.{base.table}", both[variable]
            found.append(
                base._replace(table=table, variable=variable, value=value, default=base.value,
                              source=source_of(variable))
            )  # fmt: skip
    return found


def meanings(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return what each field means, from the section Attributes of the struct's docstring."""
    _, _, section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        begins = re.match(r"    (\w+): (.*)", line)
        if begins:
            name = begins[1]
            found[name] = begins[2]
        elif name and line.startswith("        "):
            found[name] += f" {line.strip()}"
    return found


def example() -> str:
    """Return a commented file with every setting at its default."""
    lines = ["# Settings of a Dolphin stack. The environment takes precedence: [signal] s_in is",
             "# DOLPHIN_SIGNAL_S_IN. Remove the # before what you change; `dolphin settings check FILE`."]  # fmt: skip
    for table, kind in GROUPS.items():
        lines += ["", f"[{table}]"]
        means = meanings(kind)
        for field in msgspec.structs.fields(kind):
            lines += [f"# {line}" for line in textwrap.wrap(means.get(field.name, ""), 96)]
            lines.append(f"# {field.name} = {_toml(field.default)}")
    lines += ["", "# One trader's own: [instance.GREEN.signal], .target, .cost, .limit, .paper"]
    lines += ["# [instance.GREEN.signal]", "# s_in = 1.2"]
    return "\n".join(lines) + "\n"


def _said(default: Any) -> str:
    return "" if default is msgspec.NODEFAULT else str(default)


def _toml(default: Any) -> str:
    return str(default) if isinstance(default, int | float) else f'"{default}"'
