"""What makes a stack a demo: its settings, its home, and a fresh beginning each time."""

import os
import shutil
from typing import Final

import msgspec

from dolphin_realtime.model.errors import ServiceError, SettingsError
from dolphin_realtime.ports import next_free
from dolphin_realtime.settings import Settings

DEMO_MARKER: Final = "DEMO"
DEMO_DAYS: Final = ("2025-05-12", "2025-05-13", "2025-05-14", "2025-05-15")
DEMO_ENV: Final = {
    "DOLPHIN_MARKET_CLOCK": "replay",
    "DOLPHIN_SAFETY_COOL_DOWN_S": "10",
    "DOLPHIN_ARCHIVE_FIRST_DAY": DEMO_DAYS[0],
    "DOLPHIN_ARCHIVE_LAST_DAY": DEMO_DAYS[-1],
}
STATE_FOLDERS: Final = ("scans", "archive", "journal", "safety", "dagster", "run_logs", "logs")


def demo_settings(settings: Settings) -> Settings:
    """Return the demo's settings, and put them into the environment of every service."""
    for name, value in DEMO_ENV.items():
        os.environ.setdefault(name, value)
    free = next_free(settings.ui_port)
    if free is None:
        raise ServiceError(f"no free port for the Dagster UI from {settings.ui_port} on")
    return msgspec.structs.replace(settings, ui_port=free)


def refuse_mixed_home(settings: Settings, *, is_demo: bool) -> None:
    """Raise where a demo would write among real state, or the other way round."""
    marker = settings.home / DEMO_MARKER
    is_used = (settings.home / "journal").exists()
    if is_demo and is_used and not marker.exists():
        raise SettingsError(
            f"{settings.home} holds a real stack's state; give the demo another DOLPHIN_HOME"
        )
    if not is_demo and marker.exists():
        raise SettingsError(
            f"{settings.home} holds the demo's state; make clean, or set another DOLPHIN_HOME"
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    if is_demo:
        marker.write_text("This folder holds simulated trading on replayed prices.\n")


def begin_anew(settings: Settings) -> None:
    """Remove what an earlier demo left: each one begins at the same instant.

    Called with the runner's lock held, on a home that holds nothing but a demo.
    """
    for name in STATE_FOLDERS:
        shutil.rmtree(settings.home / name, ignore_errors=True)
    for left in settings.run_dir.iterdir():
        if left.name in ("bridge", "replay.json"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
