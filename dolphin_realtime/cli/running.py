"""The stack that runs in this DOLPHIN_HOME, as a command finds it: its runner and its ports.

A terminal that was opened later may lack the settings of the one that started the stack; the
home alone says which stack is meant, and its runner knows the rest.
"""

import os
from typing import Any, Final

import msgspec

from dolphin_realtime.local_socket import ask
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.runner.runner import SOCKET
from dolphin_realtime.settings import PREFIX, Settings, load

QUICK_S: Final = 2.0
REACHED_BY: Final = ("hazelcast_port", "cluster_name")


def request(settings: Settings, timeout_s: float = 30.0, **fields: Any) -> dict[str, Any]:
    """Send one request to the local runner and return its answer.

    Raises:
        ServiceError: If no runner answers, or it refuses.
    """
    answer = ask(settings.run_dir / SOCKET, fields, timeout_s)
    if not answer.get("ok"):
        raise ServiceError(str(answer.get("error")))
    return answer


def with_its_ports(settings: Settings, answer: dict[str, Any]) -> Settings:
    """Return the settings with what a runner's status names; what the environment sets holds.

    The UI's port is always the runner's: a demo takes the next free one.
    """
    own = {n for n in REACHED_BY if f"{PREFIX}{n.upper()}" not in os.environ}
    names = [n for n in (*own, "ui_port") if n in answer]
    return msgspec.structs.replace(settings, **{n: answer[n] for n in names})


def load_running() -> Settings:
    """Return the environment's settings, with the ports of the stack that runs in its home.

    Where no runner has left its socket, as under systemd, the settings are as they are.

    Raises:
        ServiceError: If a runner's socket is there and does not answer: another stack's grid is
            not asked in its stead.
    """
    settings = load()
    if not (settings.run_dir / SOCKET).exists():
        return settings
    return with_its_ports(settings, request(settings, QUICK_S, do="status"))
