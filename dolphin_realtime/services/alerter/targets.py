"""The receivers of alerts: a file of Apprise URLs, and sending to one of them.

An address contains a password or a token: it is never logged, shown or stored; a target is named
by its scheme and a digest.
"""

import hashlib
import logging
import os
import stat
from enum import Enum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.errors import DeliveryError, SettingsError
from dolphin_realtime.services.alerter.addresses import (
    ALERTMANAGER,
    HEARTBEAT,
    call_watch,
    tell_alertmanager,
)

FILE: Final = "file"
CREDENTIAL: Final = "alerts"
TIMEOUT_S: Final = 20.0
"""Timeout of one request; it is long, because a receiver that answers later gets it twice."""
EXAMPLE: Final = "ntfy://ntfy.example/topic"


class Kind(Enum):
    """How a receiver is told."""

    MESSAGES = "messages"
    ALERTMANAGER = "alertmanager"
    HEARTBEAT = "heartbeat"


class Target(msgspec.Struct, frozen=True):
    """One receiver: a name without secrets, and its address."""

    name: str
    url: str

    @property
    def kind(self) -> Kind:
        """How it is told, by its address's scheme."""
        scheme = urlsplit(self.url).scheme
        if scheme in ALERTMANAGER:
            return Kind.ALERTMANAGER
        return Kind.HEARTBEAT if scheme in HEARTBEAT else Kind.MESSAGES


def path_of(settings: Settings) -> Path:
    """Return the file of addresses: systemd's credential if there is one, else the setting."""
    handed = _handed()
    return handed if handed is not None and handed.is_file() else Path(settings.alerts_file)


def _handed() -> Path | None:
    """Return the path of systemd's credential with the addresses, None without credentials."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(given) / CREDENTIAL if given else None


def read_targets(path: Path) -> list[Target]:
    """Return the receivers of a file: one address a line, # begins a comment.

    Raises:
        SettingsError: If the file cannot be read, others may read it, or a line is not an address;
            the message gives only the line's number.
    """
    try:
        lines, mode = path.read_text().splitlines(), path.stat().st_mode
    except (OSError, UnicodeDecodeError) as e:
        raise SettingsError(f"DOLPHIN_ALERTS_FILE: {path} cannot be read: {e}") from e
    # systemd's credential has an access list that may show up as group permissions
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
    scheme = urlsplit(url).scheme.replace("+", "-")
    return f"{scheme}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    if parts.scheme == FILE:
        return bool(parts.path)
    if parts.scheme in {*ALERTMANAGER, *HEARTBEAT}:
        return bool(parts.hostname)
    return _receiver(url) is not None


def _receiver(url: str) -> Any:
    """Return Apprise's receiver for an address, None if invalid; its log would show secrets."""
    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    return apprise.Apprise.instantiate(url)


def send(target: Target, title: str, body: str) -> None:
    """Send one message and return once the receiver has taken it. Blocks.

    An Alertmanager is only asked whether it answers, an outside watch is called: neither takes text.

    Raises:
        DeliveryError: If the receiver did not take it.
    """
    if target.kind is Kind.ALERTMANAGER:
        tell_alertmanager(target.url, [])
        return
    if target.kind is Kind.HEARTBEAT:
        call_watch(target.url)
        return
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
