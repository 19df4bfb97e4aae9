"""Parameters of the signal: defaults, units in the names, and setting them as NAME=VALUE."""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from dolphin_realtime.model.errors import SettingsError

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=2)]


class SignalParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every parameter of `SignalState`; docs/signal.md says what each does.

    Attributes:
        tau_s_s: Time constant of the short average of the mean correlation.
        tau_l_s: Time constant of the long average of the mean correlation, and of the usual spread.
        tau_v_s: Time constant of the variance of each asset and of the market.
        tau_vol_s: Time constant of the long variance of the market.
        tau_beta_s: Time constant of beta and of the variance of the residual sum.
        tau_x_s: Time constant of the residual sum, and the largest age of a last price.
        gap_max_s: Longest time between scans for which a return is computed.
        n_min: Least number of sound prices, and of returns.
        s_in: Score at which a direction begins.
        s_out: Score at which it ends.
        s_full: Score of full size.
        warm_up_returns: Least number of returns of a warm asset; they must also span 3 tau_x.
    """

    tau_s_s: Positive = 900.0
    tau_l_s: Positive = 14_400.0
    tau_v_s: Positive = 3_600.0
    tau_vol_s: Positive = 86_400.0
    tau_beta_s: Positive = 14_400.0
    tau_x_s: Positive = 3_600.0
    gap_max_s: Positive = 180.0
    n_min: Count = 10
    s_in: Positive = 1.25
    s_out: Positive = 0.5
    s_full: Positive = 2.5
    warm_up_returns: Count = 100


def with_settings[P: msgspec.Struct](params: P, assignments: Iterable[str]) -> P:
    """Return ``params`` with each NAME=VALUE of ``assignments`` applied.

    Raises:
        SettingsError: If a name is unknown or a value is not of its kind.
    """
    changed = msgspec.to_builtins(params)
    for assignment in assignments:
        name, sign, value = assignment.partition("=")
        if not sign:
            raise SettingsError(f"{assignment!r} is not NAME=VALUE")
        if name not in changed:
            raise SettingsError(f"unknown parameter {name!r}; known: {', '.join(sorted(changed))}")
        changed[name] = value
    try:
        return msgspec.convert(changed, type(params), strict=False)
    except msgspec.ValidationError as e:
        raise SettingsError(f"parameter refused: {e}") from e
