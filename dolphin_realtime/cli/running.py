"""The stack that a command is about: its settings, and who keeps its services.

A terminal that was opened later may lack the settings of the one that started the stack; the
home alone says which stack is meant, and its runner knows the rest. On a server without a
runner the units' environment file says it.
"""

import os
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_realtime.managers import systemd
from dolphin_realtime.managers.find import manager_of
from dolphin_realtime.managers.local import LocalManager
from dolphin_realtime.settings import PREFIX, Settings, load

REACHED_BY: Final = ("hazelcast_port", "cluster_name")


def load_here() -> Settings:
    """Return the environment's settings; where systemd keeps the stack, its units' environment.

    What the environment sets holds over the file.
    """
    settings = load()
    is_told = f"{PREFIX}HOME" in os.environ or LocalManager(settings.home).socket.exists()
    if is_told or not systemd.is_installed():
        return settings
    return load({**read_environment(systemd.ENVIRONMENT), **os.environ})


def read_environment(path: Path) -> dict[str, str]:
    """Return the assignments of a unit's environment file; none where it cannot be read."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line and line[0] not in "#;")
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def with_its_ports(settings: Settings, facts: dict[str, Any]) -> Settings:
    """Return the settings with what a manager names; what the environment sets holds.

    The UI's port is always the runner's: a demo takes the next free one.
    """
    own = {n for n in REACHED_BY if f"{PREFIX}{n.upper()}" not in os.environ}
    names = [n for n in (*own, "ui_port") if n in facts]
    return msgspec.structs.replace(settings, **{n: facts[n] for n in names})


def load_running() -> Settings:
    """Return the settings, with the ports of the stack that runs in its home.

    Raises:
        ServiceError: If a runner's socket is there and does not answer: another stack's grid is
            not asked in its stead.
    """
    settings = load_here()
    if not LocalManager(settings.home).socket.exists():
        return settings
    return with_its_ports(settings, manager_of(settings).facts())
