"""A trader's parameters: ``DOLPHIN_SIGNAL_*``, ``DOLPHIN_TARGET_*``, ``DOLPHIN_COST_*``."""

from collections.abc import Mapping
from os import environ

import msgspec

from dolphin_realtime.model.plan import CostParams
from dolphin_realtime.model.signal_params import SignalParams
from dolphin_realtime.model.target import TargetParams
from dolphin_realtime.settings import load_group


class Parameters(msgspec.Struct, frozen=True):
    """How a trader decides, sizes and pays."""

    signal: SignalParams
    target: TargetParams
    costs: CostParams


def load_parameters(env: Mapping[str, str] = environ) -> Parameters:
    """Return the parameters of the environment.

    Raises:
        SettingsError: If a variable is unknown or its value is not of its kind.
    """
    return Parameters(
        load_group(SignalParams, "DOLPHIN_SIGNAL_", env),
        load_group(TargetParams, "DOLPHIN_TARGET_", env),
        load_group(CostParams, "DOLPHIN_COST_", env),
    )
