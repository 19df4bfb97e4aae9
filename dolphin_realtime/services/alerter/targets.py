"""Where alerts go: a file of Apprise URLs, and sending to one of them.

An address holds a password or a token: it is never logged, shown or kept; a target is known by
its scheme and a digest.
"""

import hashlib
import logging
import os
import stat
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.errors import DeliveryError, SettingsError

FILE: Final = "file"
CREDENTIAL: Final = "alerts"
TIMEOUT_S: Final = 20.0
"""Of a receiver: one that takes a message and answers late would get it again."""
EXAMPLE: Final = "ntfy://ntfy.example/topic"


class Target(msgspec.Struct, frozen=True):
    """One receiver: a name without secrets, and its address."""

    name: str
    url: str


def path_of(settings: Settings) -> Path:
    """Return where the addresses are: systemd's credential where it was given, else the setting."""
    handed = _handed()
    return handed if handed is not None and handed.is_file() else Path(settings.alerts_file)


def _handed() -> Path | None:
    """Return where systemd hands over the addresses, None where it hands over nothing."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(given) / CREDENTIAL if given else None


def read_targets(path: Path) -> list[Target]:
    """Return the receivers of a file: one address a line, # begins a comment.

    Raises:
        SettingsError: If the file cannot be read, others may read it, or a line is no address;
            the line is named by its number alone.
    """
    try:
        lines, mode = path.read_text().splitlines(), path.stat().st_mode
    except (OSError, UnicodeDecodeError) as e:
        raise SettingsError(f"DOLPHIN_ALERTS_FILE: {path} cannot be read: {e}") from e
    # what systemd hands over has an access list that may look like a group's
    if mode & (stat.S_IRGRP | stat.S_IROTH) and path != _handed():
        raise SettingsError(f"DOLPHIN_ALERTS_FILE: others may read {path}: chmod 600 {path}")
    found = []
    for number, line in enumerate(lines, 1):
        url = line.strip()
        if url and not url.startswith("#"):
            if not _is_address(url):
                raise SettingsError(f"{path}, line {number}: no Apprise URL such as {EXAMPLE}")
            found.append(Target(_name_of(url), url))
    return found


def _name_of(url: str) -> str:
    return f"{urlsplit(url).scheme}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def _is_address(url: str) -> bool:
    if urlsplit(url).scheme == FILE:
        return bool(urlsplit(url).path)
    return _receiver(url) is not None


def _receiver(url: str) -> Any:
    """Return Apprise's receiver of an address, None where it is none; its own log says secrets."""
    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    return apprise.Apprise.instantiate(url)


def send(target: Target, title: str, body: str) -> None:
    """Send one message and return once the receiver has taken it. Blocks.

    Raises:
        DeliveryError: If it was not taken.
    """
    if urlsplit(target.url).scheme == FILE:
        _append(Path(urlsplit(target.url).path), title, body)
        return
    receiver = _receiver(target.url)
    if receiver is not None:
        receiver.socket_connect_timeout = receiver.socket_read_timeout = TIMEOUT_S
    if receiver is None or not receiver.notify(body=body, title=title, overflow="split"):
        raise DeliveryError(f"{target.name} did not take the message")


def _append(path: Path, title: str, body: str) -> None:
    try:
        with path.open("a") as f:
            f.write(f"{title}\n{body}\n\n")
    except OSError as e:
        raise DeliveryError(f"{path} was not written: {e}") from e
