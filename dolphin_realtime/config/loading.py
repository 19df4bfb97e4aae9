"""The environment read into settings and groups of parameters, once at the start of a process.

A malformed or misspelt variable is refused by name. What there is to set belongs in settings.py.
"""

import os
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from dolphin_realtime.config.settings import PREFIX, Settings
from dolphin_realtime.model.errors import SettingsError

FOREIGN = frozenset(
    {"DOLPHIN_SETTINGS", "DOLPHIN_DAGSTER_VAR", "DOLPHIN_STACK", "DOLPHIN_FAULT_POINTS"}
)
"""Variables with the prefix that are not settings: the file of settings, and what Dolphin or tests set
for processes."""
TRADER_PREFIXES = (
    "DOLPHIN_SIGNAL_", "DOLPHIN_TARGET_", "DOLPHIN_COST_", "DOLPHIN_LIMIT_", "DOLPHIN_PAPER_"
)  # fmt: skip
GROUP_PREFIXES = (*TRADER_PREFIXES, "DOLPHIN_REPLAY_", "DOLPHIN_SAFETY_LIMIT_", "DOLPHIN_SOURCE_",
                  "DOLPHIN_LIVE_")  # fmt: skip
"""Groups of parameters, read by `load_group` where they are used."""
_INSTANCE = re.compile(r"[A-Za-z0-9]{1,20}")
_OF_INSTANCE = re.compile(r"DOLPHIN_([A-Za-z0-9]+)__((?:SIGNAL|TARGET|COST|LIMIT|PAPER)_.+)")
"""A trader's parameter for one instance alone, e.g. DOLPHIN_GREEN__SIGNAL_S_IN."""


def _decode(kind: type[Any], value: Any) -> Any:
    return kind(value)


def _convert[S: msgspec.Struct](kind: type[S], raw: Mapping[str, str], prefix: str) -> S:
    try:
        return msgspec.convert(dict(raw), kind, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as e:
        field = re.search(r"`\$\.(\w+)`", str(e))
        name = f"{prefix}{field[1].upper()}" if field else f"{prefix}*"
        raise SettingsError(f"{name}: {e}; docs/settings.md lists every setting") from e


def load(env: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of the environment, paths made absolute.

    Raises:
        SettingsError: If a variable is unknown or its value is not of its kind.
    """
    raw = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in env.items()
        if name.startswith(PREFIX)
        and name not in FOREIGN
        and not name.startswith(GROUP_PREFIXES)
        and not _OF_INSTANCE.fullmatch(name)
    }
    settings = _convert(Settings, raw, PREFIX)
    _refuse_odd_names(settings)
    _refuse_other_instances(settings, env)
    scans = str(settings.scans.absolute()) if settings.scan_dir else ""
    return msgspec.structs.replace(settings, home=settings.home.absolute(), scan_dir=scans)


def _refuse_odd_names(settings: Settings) -> None:
    names = settings.instance_names
    if len(set(names)) < len(names) or not all(map(_INSTANCE.fullmatch, names)):
        raise SettingsError(
            f"{PREFIX}INSTANCES is {settings.instances!r}: names of letters and digits, each once"
        )


def _refuse_other_instances(settings: Settings, env: Mapping[str, str]) -> None:
    for name in env:
        found = _OF_INSTANCE.fullmatch(name)
        if found is not None and found[1] not in settings.instance_names:
            known = ", ".join(settings.instance_names)
            raise SettingsError(f"{name}: no instance {found[1]!r}; DOLPHIN_INSTANCES has {known}")


def load_group[S: msgspec.Struct](
    kind: type[S], prefix: str, env: Mapping[str, str] = os.environ, instance: str = ""
) -> S:
    """Return one group of parameters, e.g. `SignalParams` from ``DOLPHIN_SIGNAL_*``.

    With an instance, ``DOLPHIN_<INSTANCE>__SIGNAL_*`` takes precedence over the general ones.

    Raises:
        SettingsError: If a variable is unknown or its value is not of its kind.
    """
    own = f"{PREFIX}{instance}__{prefix.removeprefix(PREFIX)}"
    prefixes = (prefix, own) if instance else (prefix,)
    raw = {
        n.removeprefix(p).lower(): v for p in prefixes for n, v in env.items() if n.startswith(p)
    }
    return _convert(kind, raw, prefix)
