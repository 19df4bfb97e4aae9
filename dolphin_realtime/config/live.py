"""``DOLPHIN_LIVE_*``: the account that is meant, its key files, and the caps that have no default.

Reading these settings and the key files belongs here; whether the account is fit for trading is
judged in venues/binance/preflight.py. A key is never logged, shown or put into an error.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec

from dolphin_realtime.config.loading import load_group
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.errors import SettingsError

PREFIX: Final = "DOLPHIN_LIVE_"
MAX_NAMES: Final = 50
LIVE_FILE: Final = "live.json"
"""In a demo's home: its live settings, which hold no key."""
UNDERSTOOD: Final = "this-trades-real-money"
LOOPBACK: Final = re.compile(r"http://127\.0\.0\.1:\d{1,5}")


class LiveSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``DOLPHIN_LIVE_*``.

    Attributes:
        venue: live, testnet or loopback: one of three sets of addresses.
        instance: The one trader instance that trades the account; the others trade on paper.
        i_understand: For ``live``: UNDERSTOOD, set by a flag of the command line.
        loopback: Base address of the loopback venue, for that set alone.
        trade_key_file: API key, and on the lines after it the secret or an Ed25519 key in PEM.
        read_key_file: The same of a key that may only read.
        account: Last four characters of the trading key.
        allow: Names that may be traded, separated by commas.
        max_order_usd: Largest notional of one order.
        max_gross_usd: Largest sum of absolute positions.
        max_orders_per_minute: Largest number of orders in any minute.
        max_daily_loss_usd: Loss of the UTC day after which nothing is opened.
        leverage: The leverage that every allowed name must have.
    """

    venue: str = ""
    instance: str = ""
    i_understand: str = ""
    loopback: str = ""
    trade_key_file: str = ""
    read_key_file: str = ""
    account: str = ""
    allow: str = ""
    max_order_usd: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    max_gross_usd: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    max_orders_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 0
    max_daily_loss_usd: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    leverage: Annotated[int, msgspec.Meta(ge=0, le=125)] = 0

    @property
    def names(self) -> list[str]:
        """The names that may be traded."""
        return [name.strip() for name in self.allow.split(",") if name.strip()]


class Addresses(msgspec.Struct, frozen=True):
    """One set of addresses: orders and answers, user stream, rights of a key (None: not told)."""

    rest: str
    stream: str
    rights: str | None


NAMED: Final = {
    "live": Addresses("https://fapi.binance.com", "wss://fstream.binance.com/private", "https://api.binance.com"),
    "testnet": Addresses("https://testnet.binancefuture.com", "wss://stream.binancefuture.com", None),
}  # fmt: skip


def addresses_of(live: LiveSettings) -> Addresses:
    """Return the addresses of the set that is meant; sets are never mixed.

    Raises:
        SettingsError: If the set is unknown, or an address is given that is none of loopback's.
    """
    if live.venue == "loopback":
        if not LOOPBACK.fullmatch(live.loopback):
            raise SettingsError(f"{PREFIX}LOOPBACK is not http://127.0.0.1:PORT")
        return Addresses(live.loopback, live.loopback.replace("http", "ws", 1), live.loopback)
    if live.venue not in NAMED:
        raise SettingsError(f"{PREFIX}VENUE is {live.venue!r}: it is live, testnet or loopback")
    if live.loopback:
        raise SettingsError(f"{PREFIX}LOOPBACK is set, but {PREFIX}VENUE is {live.venue!r}")
    return NAMED[live.venue]


def check_caps(live: LiveSettings) -> None:
    """Refuse settings in which a cap or a name is missing.

    Raises:
        SettingsError: Naming what is missing.
    """
    missing = [
        f"{PREFIX}{name.upper()}"
        for name in ("max_order_usd", "max_gross_usd", "max_orders_per_minute",
                     "max_daily_loss_usd", "leverage", "trade_key_file", "read_key_file")
        if not getattr(live, name)
    ] + ([] if live.names else [f"{PREFIX}ALLOW"])  # fmt: skip
    if missing:
        raise SettingsError(f"{', '.join(missing)}: not set, and without a default")
    if len(live.names) > MAX_NAMES:
        raise SettingsError(f"{PREFIX}ALLOW has {len(live.names)} names; {MAX_NAMES} at the most")


def live_settings(
    settings: Settings, instance: str, env: Mapping[str, str] = os.environ
) -> LiveSettings | None:
    """Return the live settings if this instance trades a real account, None if it trades on paper.

    Raises:
        SettingsError: If the mode is live and no instance of the stack is named.
    """
    if settings.mode != "live":
        return None
    live = load_group(LiveSettings, PREFIX, env)
    if live.instance not in settings.instance_names:
        raise SettingsError(
            f"DOLPHIN_MODE is live, and {PREFIX}INSTANCE is {live.instance!r}: it names the one of "
            f"{', '.join(settings.instance_names)} that trades the account"
        )
    return live if live.instance == instance else None


class KeyPair(msgspec.Struct, frozen=True):
    """An API key and its secret; its text shows the last four characters of the key alone."""

    key: str
    secret: str

    def __repr__(self) -> str:
        """Return a text without a secret."""
        return f"KeyPair(…{self.key[-4:]})"


def check_named(live: LiveSettings, trade_key: KeyPair) -> None:
    """Refuse a real account that a person did not name.

    Raises:
        SettingsError: If it is another one than the trading key's.
    """
    if live.venue == "live" and trade_key.key[-4:] != live.account:
        raise SettingsError(f"{PREFIX}ACCOUNT is not the end of the trading key: another account?")


def check_meant(live: LiveSettings, trade_key: KeyPair) -> None:
    """Refuse to trade a real account that a person did not name and mean.

    Raises:
        SettingsError: Naming what is missing.
    """
    check_named(live, trade_key)
    if live.venue == "live" and live.i_understand != UNDERSTOOD:
        raise SettingsError(f"this trades real money: say so with --i-understand-{UNDERSTOOD}")


def read_key(name: str, file: str) -> KeyPair:
    """Return the key of a file: the API key on its first line, the secret after it.

    Raises:
        SettingsError: If it cannot be read, others may read it, or it holds no key.
    """
    path = Path(file)
    try:
        text, mode = path.read_text(), path.stat().st_mode
    except (OSError, UnicodeDecodeError) as e:
        raise SettingsError(f"{name}: {path} cannot be read: {type(e).__name__}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and not _is_handed(path):
        raise SettingsError(f"{name}: others may read {path}: chmod 600 {path}")
    key, _, secret = text.strip().partition("\n")
    if not (key.strip() and secret.strip()):
        raise SettingsError(f"{name}: {path} has no key on its first line and secret after it")
    return KeyPair(key.strip(), secret.strip())


def _is_handed(path: Path) -> bool:
    """Return whether systemd handed the file over: its access list may show as a group's right."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    return given is not None and path.parent == Path(given)


def refuse_foreign(env: dict[str, str]) -> None:
    """Refuse an environment that holds keys for a library: it would take them without a word.

    Raises:
        SettingsError: Naming the variables, not their values.
    """
    found = sorted(name for name in env if name.startswith("BINANCE_"))
    if found:
        raise SettingsError(f"{', '.join(found)} in the environment: remove it, keys are in files")
