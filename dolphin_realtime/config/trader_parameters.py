"""A trader's parameters: ``DOLPHIN_SIGNAL_*``, ``TARGET_``, ``COST_``, ``LIMIT_`` and ``PAPER_``.

``DOLPHIN_<INSTANCE>__SIGNAL_S_IN`` and the like apply to one instance alone, so that BLUE
and GREEN differ only in the parameters set for them.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from os import environ
from typing import Final

import msgspec

from dolphin_realtime.config.loading import load_group
from dolphin_realtime.config.settings import listed
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.market.paper_faults import PaperFaults
from dolphin_realtime.model.portfolio.costs import CostParams
from dolphin_realtime.model.portfolio.decision import TargetParams
from dolphin_realtime.model.risk.pre_trade import PreTradeParams
from dolphin_realtime.model.signal.params import SignalParams, with_settings

LIMITS: Final = "DOLPHIN_LIMIT_"
ROUNDING: Final = 1e-9


class Parameters(msgspec.Struct, frozen=True):
    """A trader's parameters: signal, sizing, costs, pre-trade limits, simulated paper faults."""

    signal: SignalParams
    target: TargetParams
    costs: CostParams
    limits: PreTradeParams
    faults: PaperFaults = PaperFaults()


def load_parameters(instance: str = "", env: Mapping[str, str] = environ) -> Parameters:
    """Return the environment's parameters; an instance's own take precedence over the general.

    Raises:
        SettingsError: If a variable is unknown or its value is not of its kind.
    """
    return Parameters(
        load_group(SignalParams, "DOLPHIN_SIGNAL_", env, instance),
        load_group(TargetParams, "DOLPHIN_TARGET_", env, instance),
        load_group(CostParams, "DOLPHIN_COST_", env, instance),
        _limits(instance, env),
        load_group(PaperFaults, "DOLPHIN_PAPER_", env, instance),
    )


def _limits(instance: str, env: Mapping[str, str]) -> PreTradeParams:
    """Return the pre-trade limits; where no share of all is set, the traders have equal ones."""
    names = listed(env.get("DOLPHIN_INSTANCES", "")) or [""]
    equal = {f"{LIMITS}SHARE_OF_ALL": str(1.0 / len(names))}
    return load_group(PreTradeParams, LIMITS, {**equal, **env}, instance)


def check_shares(names: Iterable[str], env: Mapping[str, str] = environ) -> None:
    """Refuse traders whose parts of the limits for all are more than the whole.

    Raises:
        SettingsError: Naming the parts.
    """
    shares = {name: load_parameters(name, env).limits.share_of_all for name in names}
    if sum(shares.values()) > 1.0 + ROUNDING:
        said = ", ".join(f"{name} {share:g}" for name, share in shares.items())
        raise SettingsError(f"{LIMITS}SHARE_OF_ALL: {said} are more than 1 together")


def changed(parameters: Parameters, assignments: Iterable[str]) -> Parameters:
    """Return parameters with each NAME=VALUE applied to the group that has the name.

    Raises:
        SettingsError: If a name is in no group or a value is not of its kind.
    """
    groups: dict[str, list[str]] = {}
    names = {
        field: group
        for group in parameters.__struct_fields__
        for field in getattr(parameters, group).__struct_fields__
    }
    for assignment in assignments:
        name, sign, _ = assignment.partition("=")
        if not sign:
            raise SettingsError(f"{assignment!r} is not NAME=VALUE")
        if name not in names:
            near = get_close_matches(name, names, 1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise SettingsError(
                f"unknown parameter {name!r}; {meant}docs/settings.md lists them, without the prefix"
            )
        groups.setdefault(names[name], []).append(assignment)
    done = {g: with_settings(getattr(parameters, g), words) for g, words in groups.items()}
    return msgspec.structs.replace(parameters, **done)


def differences(
    first: str, second: str, env: Mapping[str, str] = environ
) -> dict[str, tuple[str, str]]:
    """Return the parameters in which two instances differ, as (first, second)."""
    ours, theirs = (
        {
            f"{group}.{name}": str(value)
            for group, values in msgspec.to_builtins(load_parameters(i, env)).items()
            for name, value in values.items()
        }
        for i in (first, second)
    )
    return {name: (value, theirs[name]) for name, value in ours.items() if theirs[name] != value}
