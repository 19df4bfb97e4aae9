"""Finds a stack's manager: the local runner if its socket exists, else systemd if installed."""

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.ops.managers import systemd
from dolphin_realtime.ops.managers.interface import ServiceManager
from dolphin_realtime.ops.managers.local import LocalManager
from dolphin_realtime.ops.managers.systemd import SystemdManager


def manager_of(settings: Settings) -> ServiceManager:
    """Return the manager of a stack, as ``DOLPHIN_MANAGER`` says or as it is found.

    A home without a runner's socket belongs to systemd only if this machine's units use that home:
    a command meant for another stack must not reach them.
    """
    local = LocalManager(settings.home)
    if settings.manager == "systemd":
        return SystemdManager()
    if settings.manager == "local" or local.socket.exists():
        return local
    return SystemdManager() if systemd.keeps(settings.home) else local
