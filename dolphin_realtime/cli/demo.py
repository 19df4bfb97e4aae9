"""What makes a stack a demo: its settings, its home, and empty state at each start."""

import os
import secrets
import shutil
import string
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.config.factor_sources import HOSTS, PREFIX
from dolphin_realtime.config.live import LIVE_FILE, UNDERSTOOD, LiveSettings
from dolphin_realtime.config.live import PREFIX as LIVE
from dolphin_realtime.config.loading import load, load_group
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.infra.extras import need
from dolphin_realtime.infra.ports import next_free
from dolphin_realtime.model.errors import ServiceError, SettingsError
from dolphin_realtime.replay.market import SAMPLE, load_prices
from dolphin_realtime.replay.worlds.library import world

DEMO_MARKER: Final = "DEMO"
VENUE_PORT: Final = 5750
FACTORS_PORT: Final = 5800
EXCHANGE_PORT: Final = 5850
LETTERS: Final = string.ascii_letters + string.digits
DEMO_CAPS: Final = {
    "MAX_ORDER_USD": "25000",
    "MAX_GROSS_USD": "150000",
    "MAX_ORDERS_PER_MINUTE": "1000",
    "MAX_DAILY_LOSS_USD": "5000",
    "LEVERAGE": "20",
}
WORLD: Final = "DOLPHIN_REPLAY_WORLD"
SCANNED_WS: Final = "wss://fstream.binance.com/market"
SCANNED_REST: Final = "https://fapi.binance.com"
"""Marks come from /market alone, depth from /public: "Important WebSocket Change Notice", 2026-03-06."""
DEMO_DAYS: Final = ("2025-05-12", "2025-05-13", "2025-05-14", "2025-05-15")
DEMO_ENV: Final = {
    "DOLPHIN_MARKET_CLOCK": "replay",
    "DOLPHIN_SAFETY_COOL_DOWN_S": "10",
    "DOLPHIN_MHS_SOURCES": "scan,obf,extf,esof,safety,state",
    "DOLPHIN_ARCHIVE_FIRST_DAY": DEMO_DAYS[0],
    "DOLPHIN_ARCHIVE_LAST_DAY": DEMO_DAYS[-1],
    "DOLPHIN_PAPER_REJECT_SHARE": "0.005",
    "DOLPHIN_PAPER_PARTIAL_SHARE": "0.02",
    "DOLPHIN_PAPER_UNKNOWN_FILLED_SHARE": "0.01",
    "DOLPHIN_PAPER_UNKNOWN_NEVER_SHARE": "0.005",
}
STATE_FOLDERS: Final = (
    "scans",
    "archive",
    "books",
    "book_archive",
    "factors",
    "reports",
    "journal",
    "safety",
    "health",
    "dagster",
    "run_logs",
    "logs",
)


def demo_settings(settings: Settings) -> Settings:
    """Return the demo's settings, and set them in the environment, which services inherit."""
    for name, value in DEMO_ENV.items():
        os.environ.setdefault(name, value)
    free, venue = next_free(settings.ui_port), next_free(VENUE_PORT)
    sources = next_free(FACTORS_PORT)
    if free is None or venue is None or sources is None:
        raise ServiceError(
            f"no free port from {settings.ui_port}, {VENUE_PORT} or {FACTORS_PORT} on"
        )
    outside = {
        "DOLPHIN_REPLAY_VENUE_PORT": str(venue),
        "DOLPHIN_ORDERBOOK_WS": f"ws://127.0.0.1:{venue}",
        "DOLPHIN_ORDERBOOK_REST": f"http://127.0.0.1:{venue}",
        "DOLPHIN_ORDERBOOK_ASSETS": ",".join(_replayed_assets()),
        "DOLPHIN_ORDERBOOK_SIMULATED": "books seeded around the replayed price",
        "DOLPHIN_REPLAY_FACTORS_PORT": str(sources),
        **{f"{PREFIX}{host.upper()}": f"http://127.0.0.1:{sources}" for host in HOSTS},
    }
    os.environ.update({n: v for n, v in outside.items() if n not in os.environ})
    return msgspec.structs.replace(load(), ui_port=free)


def trade_live(settings: Settings, *, is_demo: bool, is_understood: bool) -> None:
    """Make one instance trade live; in a demo at the replay's own loopback venue.

    Raises:
        SettingsError: If the loopback venue's packages are not installed.
        ServiceError: If no port is free.
    """
    os.environ["DOLPHIN_MODE"] = "live"
    if is_understood:
        os.environ[f"{LIVE}I_UNDERSTAND"] = UNDERSTOOD
    if not is_demo:
        return
    need("aiohttp", "replay", "--demo --live")
    port = next_free(EXCHANGE_PORT)
    if port is None:
        raise ServiceError(f"no free port from {EXCHANGE_PORT} on")
    keys = {name: str(settings.home / "keys" / name) for name in ("trade", "read")}
    asked = {
        "DOLPHIN_REPLAY_EXCHANGE_PORT": str(port),
        "DOLPHIN_REPLAY_EXCHANGE_TRADE_KEY": keys["trade"],
        "DOLPHIN_REPLAY_EXCHANGE_READ_KEY": keys["read"],
        f"{LIVE}VENUE": "loopback",
        f"{LIVE}LOOPBACK": f"http://127.0.0.1:{port}",
        f"{LIVE}INSTANCE": settings.instance_names[0],
        f"{LIVE}TRADE_KEY_FILE": keys["trade"],
        f"{LIVE}READ_KEY_FILE": keys["read"],
        f"{LIVE}ALLOW": ",".join(_replayed_assets()),
        **{f"{LIVE}{name}": value for name, value in DEMO_CAPS.items()},
    }
    os.environ.update({n: v for n, v in asked.items() if n not in os.environ})


def make_account(settings: Settings) -> None:
    """Write the keys of the demo's account, and its live settings for another terminal."""
    live = load_group(LiveSettings, LIVE)
    (settings.home / LIVE_FILE).write_bytes(msgspec.json.encode(live))
    folder = settings.home / "keys"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("trade", "read"):
        key = "".join(secrets.choice(LETTERS) for _ in range(32))
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(f"{name}-{key}\n{secrets.token_hex(32)}\n")


def choose_world(name: str, *, is_demo: bool) -> None:
    """Make the demo's replay play the events of a world.

    Raises:
        SettingsError: If there is no such world, or the stack is not a demo.
    """
    if not is_demo:
        raise SettingsError("--world needs the demo: dolphin up --demo --world NAME")
    world(name)
    os.environ[WORLD] = name


def scan_marks(*, is_demo: bool) -> None:
    """Have the stack scan Binance USD-M's public mark prices, unless another venue's are set.

    Raises:
        SettingsError: If the stack is a demo, which replays recorded prices.
    """
    if is_demo:
        raise SettingsError("--scanner trades live prices, --demo a replay: choose one")
    os.environ.setdefault("DOLPHIN_SCANNER_WS", SCANNED_WS)
    os.environ.setdefault("DOLPHIN_SCANNER_REST", SCANNED_REST)


def _replayed_assets() -> list[str]:
    prices = os.environ.get("DOLPHIN_REPLAY_PRICES")
    return load_prices(Path(prices) if prices else SAMPLE).assets


def refuse_mixed_home(settings: Settings, *, is_demo: bool) -> None:
    """Raise if a demo would write into a real stack's home, or a real stack into a demo's."""
    marker = settings.home / DEMO_MARKER
    is_used = (settings.home / "journal").exists()
    if is_demo and is_used and not marker.exists():
        raise SettingsError(
            f"{settings.home} holds a real stack's state; give the demo another DOLPHIN_HOME"
        )
    if not is_demo and marker.exists():
        raise SettingsError(
            f"{settings.home} holds the demo's state; give this stack another home, e.g. "
            "DOLPHIN_HOME=$HOME/dolphin"
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    if is_demo:
        marker.write_text("This folder holds simulated trading on replayed prices.\n")


def begin_again(settings: Settings) -> None:
    """Remove the state of an earlier demo: each demo begins at the same instant.

    Called with the runner's lock held, on a home that holds only a demo.
    """
    for name in STATE_FOLDERS:
        shutil.rmtree(settings.home / name, ignore_errors=True)
    for left in settings.run_dir.iterdir():
        if left.name in ("bridge", "replay.json", "sources"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
