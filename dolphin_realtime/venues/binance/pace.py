"""How often an account is asked about."""

import msgspec


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often the venue is asked, in seconds.

    Attributes:
        check_s: Between two comparisons with the venue.
        away_s: Between two comparisons while the stream is away.
        renew_s: Between two renewals of the listen key.
        again_s: Between the two looks that make a difference count.
        steady_s: A stream that was open so long is opened anew without a pause.
    """

    check_s: float = 10.0
    away_s: float = 2.0
    renew_s: float = 30.0
    again_s: float = 2.0
    steady_s: float = 30.0
