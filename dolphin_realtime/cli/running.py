"""The stack that a command is about: its settings, and the manager of its services.

A terminal opened later may lack the settings of the one that started the stack. The home alone
identifies the stack; its runner reports the other settings, or, if systemd manages the stack, the
units' environment file holds them.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from hazelcast.client import HazelcastClient

from dolphin_realtime.config.loading import load
from dolphin_realtime.config.settings import PREFIX, Settings
from dolphin_realtime.config.settings_file import apply_settings
from dolphin_realtime.grid import connection
from dolphin_realtime.grid.cluster import cluster_of
from dolphin_realtime.ops.managers import systemd
from dolphin_realtime.ops.managers.find import manager_of
from dolphin_realtime.ops.managers.local import LocalManager

ANSWER_S: Final = 6.0
"""How long a read of the grid may take, even if the member hangs."""
REACHED_BY: Final = (
    "hazelcast_port",
    "cluster_name",
    "grid_members",
    "grid_bind",
    "viewer_port",
    "alerts_file",
)


def ask_grid[T](settings: Settings, call: Callable[[HazelcastClient], T]) -> T:
    """Connect a client, make a call with it, and return its result, within ANSWER_S.

    Raises:
        GridError: If the grid cannot be reached, or does not answer in time.
    """

    def ask() -> T:
        client = connection.connect_blocking(cluster_of(settings), "cli")
        try:
            return call(client)
        finally:
            client.shutdown()

    return connection.within(ANSWER_S, ask)


def load_here() -> Settings:
    """Return the environment's settings, with those of the units' file if systemd has the stack.

    If the environment names no home and no runner uses the default one, the stack is that of the
    units. The environment takes precedence over their file.
    """
    settings = load()
    file = systemd.environment()
    is_told = f"{PREFIX}HOME" in os.environ
    is_theirs = is_told and Path(file.get(f"{PREFIX}HOME", "")) == settings.home
    if LocalManager(settings.home).socket.exists() or not (is_theirs or not is_told):
        return settings
    if not (file and systemd.is_installed()):
        return settings
    env = {**file, **os.environ}
    apply_settings(env)
    return load(env)


def with_its_ports(settings: Settings, facts: dict[str, Any]) -> Settings:
    """Return the settings completed by a manager's facts; the environment takes precedence.

    The UI's port always comes from the runner: a demo takes the next free one.
    """
    own = {n for n in REACHED_BY if f"{PREFIX}{n.upper()}" not in os.environ}
    names = [n for n in (*own, "ui_port") if n in facts]
    return msgspec.structs.replace(settings, **{n: facts[n] for n in names})


def load_running() -> Settings:
    """Return the settings, with the ports of the stack that runs in its home.

    Raises:
        ServiceError: If a runner's socket exists but does not answer, so that another stack's
            grid is not read by mistake.
    """
    settings = load_here()
    if not LocalManager(settings.home).socket.exists():
        return settings
    return with_its_ports(settings, manager_of(settings).facts())


def instance_option(means: str) -> Callable[[Any], Any]:
    """Return the option that names an instance; the default is the stack's first one."""

    def first(_: click.Context, __: click.Parameter, value: str | None) -> str:
        return value or load_here().instance_names[0]

    shown = "the first of DOLPHIN_INSTANCES"
    return click.option("--instance", callback=first, show_default=shown, default=None, help=means)
