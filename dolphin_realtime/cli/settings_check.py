"""What is wrong in a file of settings: each sentence names the field, its value and what is allowed."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import inspect as kinds

from dolphin_realtime.cli.settings_table import GROUPS, OF_INSTANCE
from dolphin_realtime.config.live import PREFIX as LIVE
from dolphin_realtime.config.live import LiveSettings, addresses_of, live_settings
from dolphin_realtime.config.loading import load, load_group
from dolphin_realtime.config.settings import PREFIX, Settings
from dolphin_realtime.config.settings_file import TABLES, read_settings
from dolphin_realtime.config.trader_parameters import check_shares
from dolphin_realtime.grid.cluster import cluster_of
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.ops.runner.services import render_instance
from dolphin_realtime.services.meta_health.sensors.freshness import enabled_sources

_BOUNDS: Final = (("gt", "above"), ("ge", "at least"), ("lt", "below"), ("le", "at most"))


def check_file(path: Path) -> list[str]:
    """Return what is wrong in a file of settings, a sentence each; nothing if it is good."""
    try:
        file = read_settings(path)
    except SettingsError as e:
        return [str(e)]
    wrong = [sentence for name, value in file.items() if (sentence := _wrong(name, value))]
    return [f"{path}: {sentence}" for sentence in wrong or _together(file)]


def _wrong(variable: str, value: str) -> str:
    """Return what is wrong with one setting, empty if nothing is."""
    of_instance = OF_INSTANCE.fullmatch(variable)
    table, name = table_of(f"{PREFIX}{of_instance[2]}" if of_instance else variable)
    where = f"[instance.{of_instance[1]}.{table}]" if of_instance else f"[{table}]"
    fields = {field.name: field.type for field in msgspec.structs.fields(GROUPS[table])}
    if name not in fields:
        near = get_close_matches(name, fields, 3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(fields)}"
        return f"{where} {name} = {value!r}: there is no such setting; {hint}"
    try:
        msgspec.convert(value, fields[name], strict=False, dec_hook=lambda kind, raw: kind(raw))
    except msgspec.ValidationError:
        return f"{where} {name} = {value!r}: {allowed(fields[name])}"
    return ""


def table_of(variable: str) -> tuple[str, str]:
    """Return the table of the file and the name there of a variable."""
    fitting = [table for table, prefix in TABLES.items() if variable.startswith(PREFIX + prefix)]
    table = max(fitting, key=lambda one: len(TABLES[one]))
    return table, variable.removeprefix(PREFIX + TABLES[table]).lower()


def allowed(kind: Any) -> str:
    """Return what a setting of this type may be, in words."""
    found = kinds.type_info(kind)
    if isinstance(found, kinds.LiteralType):
        return f"one of {', '.join(map(str, found.values))}"
    if isinstance(found, kinds.IntType | kinds.FloatType):
        what = "a whole number" if isinstance(found, kinds.IntType) else "a number"
        bounds = [f"{word} {getattr(found, name):g}" for name, word in _BOUNDS
                  if getattr(found, name) is not None]  # fmt: skip
        return " ".join([what, " and ".join(bounds)]).strip()
    if isinstance(found, kinds.StrType) and found.pattern:
        return f"a text that fits {found.pattern}"
    return "a text"


def _together(file: Mapping[str, str]) -> list[str]:
    """Return what is wrong with values that are each of their kind."""
    try:
        settings = load(file)
    except SettingsError as e:
        return [str(e)]
    wrong = []
    for check in CHECKS:
        try:
            check(settings, file)
        except SettingsError as e:
            wrong.append(str(e))
    return wrong


def _account(settings: Settings, file: Mapping[str, str]) -> None:
    live = load_group(LiveSettings, LIVE, file)
    if settings.mode == "live":
        for name in settings.instance_names:
            live_settings(settings, name, file)
        addresses_of(live)


CHECKS: Final[tuple[Callable[[Settings, Mapping[str, str]], object], ...]] = (
    lambda s, f: check_shares(s.instance_names, f),
    lambda s, _: enabled_sources(s.mhs_sources),
    lambda s, _: cluster_of(s),
    lambda s, _: render_instance(s) if s.postgres else None,
    _account,
)
