"""Addresses of the factors' sources: DOLPHIN_SOURCE_* settings; the defaults are public hosts.

Tests and demos serve all of them on loopback.
"""

from typing import Annotated, Final

import msgspec

from dolphin_realtime.config.loading import load_group

PREFIX: Final = "DOLPHIN_SOURCE_"
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``DOLPHIN_SOURCE_*``: base addresses, time-outs, and what is asked for.

    Attributes:
        binance: Binance USD-M futures.
        deribit: Deribit's public API.
        alternative: alternative.me, of the Fear & Greed index.
        coingecko: CoinGecko.
        llama: DefiLlama's stablecoins.
        cboe: Cboe's daily price files.
        mempool: mempool.space.
        symbols: Assets of the per-symbol factors, separated by commas.
        timeout_s: Longest wait for a connection or the next bytes; a whole answer gets three times as long.
        pause_s: Before a failed request is sent again; doubled each time, with jitter.
        off: External indicators whose schedule starts switched off, separated by commas; all: every one.
    """

    binance: str = "https://fapi.binance.com"
    deribit: str = "https://www.deribit.com"
    alternative: str = "https://api.alternative.me"
    coingecko: str = "https://api.coingecko.com"
    llama: str = "https://stablecoins.llama.fi"
    cboe: str = "https://cdn.cboe.com"
    mempool: str = "https://mempool.space"
    symbols: str = "BTCUSDT,ETHUSDT"
    timeout_s: Seconds = 10.0
    pause_s: Seconds = 1.0
    off: str = ""


HOSTS: Final = tuple(
    field.name
    for field in msgspec.structs.fields(SourceSettings)
    if str(field.default).startswith("https://")
)
"""The sources: every setting whose default is an address."""


def load_sources() -> SourceSettings:
    """Return the sources' settings of the environment.

    Raises:
        SettingsError: If a variable is unknown or its value is not of its kind.
    """
    return load_group(SourceSettings, PREFIX)
