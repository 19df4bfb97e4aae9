"""Who on this machine may reach a stack's ports: rules for nftables by the owner of a socket.

The grid and Dagster's servers have no login, and any local user can connect to loopback. The rules
answer a stranger's connection with a reset, and drop what a stranger's own listener answers on one of
these ports while the service is down, so that nobody can pass for the member. A socket's group is that
of its process alone, so members of groups are listed by user. Root is never kept out.
"""

import grp
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.config.services import metrics_port, stack
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.errors import ServiceError

OPERATORS: Final = "dolphin-operators"
"""Group whose members reach every port."""
DOOR: Final = "dolphin-door"
"""Group of programs: nginx before the UI, Prometheus. They reach the UI and the metrics alone."""
MARKS: Final = Path("/run/dolphin")
"""Holds a file for each stack whose rules are loaded; as the rules, it does not outlive a boot."""
_TIMEOUT_S: Final = 20.0
_RULES: Final = """\
table inet {table} {{
  chain out {{
    type filter hook output priority filter; policy accept;
    oif "lo" tcp dport {{ {inner} }} meta skuid != {{ {trusted} }} counter reject with tcp reset
    oif "lo" tcp dport {{ {outer} }} meta skuid != {{ {all} }} counter reject with tcp reset
    oif "lo" tcp sport {{ {both} }} tcp flags & (syn | ack) == (syn | ack) meta skuid != {{ {services} }} counter drop
  }}
}}
"""


class Users(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of the users that are let in.

    Attributes:
        services: Those that the stack runs as.
        operators: People who operate it.
        door: Programs that reach the UI and the metrics.
    """

    services: frozenset[int]
    operators: frozenset[int] = frozenset()
    door: frozenset[int] = frozenset()


def members(group: str) -> frozenset[int]:
    """Return the users of a group, by its list or as their own; none if there is no such group."""
    try:
        found = grp.getgrnam(group)
    except KeyError:
        return frozenset()
    own = {user.pw_uid for user in pwd.getpwall() if user.pw_gid == found.gr_gid}
    return frozenset(own | {user.pw_uid for user in pwd.getpwall() if user.pw_name in found.gr_mem})


def uids(*names: str) -> set[int]:
    """Return the numbers of users.

    Raises:
        ServiceError: If there is no such user.
    """
    try:
        return {pwd.getpwnam(name).pw_uid for name in names}
    except KeyError as e:
        raise ServiceError(f"{e.args[0]}: dolphin systemd install creates the users") from e


def users_of(services: set[int]) -> Users:
    """Return who is let in, with the members of the two groups as they are now."""
    return Users(services=frozenset(services), operators=members(OPERATORS), door=members(DOOR))


def ports(settings: Settings) -> tuple[set[int], set[int]]:
    """Return the ports of grid and code server, and those of the UI and the metrics."""
    inner = {settings.hazelcast_port, settings.code_port}
    names = stack(settings, with_dagster=True)
    metrics = {port for name in names if (port := metrics_port(settings, name)) is not None}
    return inner, metrics | {settings.ui_port} | ({settings.viewer_port} - {0})


def table_of(settings: Settings) -> str:
    """Return the name of a stack's table: stacks beside each other have other ports."""
    return f"dolphin_{settings.hazelcast_port}"


def render(settings: Settings, users: Users) -> str:
    """Return the rules, as `nft` reads them."""
    inner, outer = ports(settings)
    services = users.services | {0}
    return _RULES.format(
        table=table_of(settings),
        inner=_set(inner),
        outer=_set(outer),
        both=_set(inner | outer),
        services=_set(services),
        trusted=_set(services | users.operators),
        all=_set(services | users.operators | users.door),
    )


def _set(numbers: set[int] | frozenset[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def load(settings: Settings, users: Users) -> None:
    """Replace the stack's rules in one step, and note that they hold.

    Raises:
        ServiceError: If `nft` is missing or refuses.
    """
    mark = _mark(settings)
    mark.unlink(missing_ok=True)
    table = f"table inet {table_of(settings)}\n"
    _nft(f"{table}delete {table}{render(settings, users)}")  # a table must be there to be deleted
    mark.parent.mkdir(mode=0o755, exist_ok=True)
    mark.touch()


def unload(settings: Settings) -> None:
    """Remove the stack's rules.

    Raises:
        ServiceError: If `nft` is missing or refuses.
    """
    _mark(settings).unlink(missing_ok=True)
    table = f"table inet {table_of(settings)}\n"
    _nft(f"{table}delete {table}")


def holds(settings: Settings) -> bool:
    """Return whether the stack's rules are loaded."""
    return _mark(settings).exists()


def _mark(settings: Settings) -> Path:
    return MARKS / table_of(settings)


def can_load() -> bool:
    """Return whether this process may load rules, and the program is there."""
    return os.geteuid() == 0 and shutil.which("nft") is not None


def _nft(rules: str) -> None:
    program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise ServiceError("nft is missing: apt-get install nftables")
    try:
        done = subprocess.run(
            [program, "-f", "-"], input=rules, capture_output=True, text=True,
            timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as e:
        raise ServiceError(f"nft did not end within {_TIMEOUT_S:.0f} s") from e
    if done.returncode:
        raise ServiceError(f"nft refused the rules: {done.stderr.strip()[:500]}")
