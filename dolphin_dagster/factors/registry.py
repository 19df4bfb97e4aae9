"""Every module of indicators/: a new file there is an indicator, with nothing else to change.

An external factor's module holds an ``INDICATOR``, from which its definitions are made here;
any other module makes its own in ``definitions(settings)``.
"""

import pkgutil
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Final

import dagster as dg

from dolphin_dagster import indicators
from dolphin_dagster.factors.assets import indicator_definitions
from dolphin_dagster.factors.indicator import Indicator
from dolphin_dagster.instance import pools
from dolphin_dagster.instance.jobs import asset_job
from dolphin_realtime.config.factor_sources import HOSTS, load_sources
from dolphin_realtime.config.settings import Settings, listed
from dolphin_realtime.model.errors import SettingsError

ALL: Final = "all"
FILL_JOB: Final = "indicators_job"
FILL_RUNTIME_S: Final = 900


@cache
def modules() -> tuple[ModuleType, ...]:
    """Return the modules, by name."""
    found = sorted(m.name for m in pkgutil.iter_modules(indicators.__path__))
    return tuple(import_module(f"{indicators.__name__}.{name}") for name in found)


@cache
def external() -> dict[str, Indicator]:
    """Return the external factors by their asset's key.

    Raises:
        SettingsError: If one is not named like its file, or asks a source without a setting.
    """
    found: dict[str, Indicator] = {}
    for module in modules():
        if not hasattr(module, "INDICATOR"):
            continue
        indicator, file = module.INDICATOR, _file(module)
        if indicator.name != file:
            raise SettingsError(
                f"indicators/{file}.py calls itself {indicator.name!r}: name the file so"
            )
        if indicator.host not in HOSTS:
            raise SettingsError(
                f"indicators/{file}.py asks {indicator.host!r}, which is not an address of "
                f"SourceSettings; there are {', '.join(HOSTS)}"
            )
        found[indicator.name] = indicator
    return found


def names() -> list[str]:
    """Return the assets' keys, calendar factors included."""
    return [_file(module) for module in modules()]


def _file(module: ModuleType) -> str:
    return module.__name__.rsplit(".", 1)[-1]


def switched_off() -> set[str]:
    """Return the external factors whose schedule starts switched off, by the setting.

    Raises:
        SettingsError: If it names one that does not exist.
    """
    named = set(listed(load_sources().off))
    unknown = named - set(external()) - {ALL}
    if unknown:
        raise SettingsError(
            f"DOLPHIN_SOURCE_OFF names {', '.join(sorted(unknown))}; there are "
            f"{', '.join(external())}, or {ALL}"
        )
    return set(external()) if ALL in named else named


def definitions(settings: Settings) -> dg.Definitions:
    """Return the definitions of every indicator, and the job that asks them all at once.

    Raises:
        SettingsError: If the setting of what is off names an indicator that does not exist.
    """
    off = switched_off()
    each: list[dg.Definitions] = [
        indicator_definitions(m.INDICATOR, settings, is_off=m.INDICATOR.name in off)
        if hasattr(m, "INDICATOR")
        else m.definitions(settings)
        for m in modules()
    ]
    means = "Ask every source once, in one run: the first fill."
    fill = asset_job("indicators", pools.INDICATORS, FILL_RUNTIME_S, means, names())
    return dg.Definitions.merge(*each, dg.Definitions(jobs=[fill]))
