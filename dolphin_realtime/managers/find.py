"""Which manager keeps the services of a stack: the local runner where it left its socket, else systemd."""

from dolphin_realtime.managers import systemd
from dolphin_realtime.managers.interface import ServiceManager
from dolphin_realtime.managers.local import LocalManager
from dolphin_realtime.managers.systemd import SystemdManager
from dolphin_realtime.settings import Settings


def manager_of(settings: Settings) -> ServiceManager:
    """Return the manager of a stack, as ``DOLPHIN_MANAGER`` says or as it is found.

    A home without a runner's socket is systemd's where its target is installed.
    """
    local = LocalManager(settings.home)
    if settings.manager == "systemd":
        return SystemdManager()
    if settings.manager == "local" or local.socket.exists() or not systemd.is_installed():
        return local
    return SystemdManager()
