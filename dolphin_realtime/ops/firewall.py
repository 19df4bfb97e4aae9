"""Who on this machine may reach a stack's ports: rules for nftables by the owner of a socket.

The grid and Dagster's servers have no login, and any local user can connect to loopback. A connection is
let through only if its first packet has a socket of somebody who is named: what has none, or another's, is
refused. What leaves from one of these ports must be a service's, so that nobody passes for one that is down. A
socket's group is that of its process alone, so members of groups are listed by user. Root is let in.
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
from dolphin_realtime.grid.cluster import cluster_of
from dolphin_realtime.model.errors import ServiceError

OPERATORS: Final = "dolphin-operators"
"""Group whose members reach every port."""
DOOR: Final = "dolphin-door"
"""Group of programs: nginx before the UI, Prometheus. They reach the UI and the metrics alone."""
UNITS: Final = "dolphin"
"""Table of the stack that systemd runs; the name of a runner's table ends with its home's mark."""
MARKS: Final = Path("/run/dolphin")
"""Holds a file for each table, with its ports; as the rules, it does not outlive a boot."""
_TIMEOUT_S: Final = 20.0
_NFT: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_SYN: Final = "tcp flags & (syn | ack) == syn"


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
    everyone = pwd.getpwall()
    own = {user.pw_uid for user in everyone if user.pw_gid == found.gr_gid}
    return frozenset(own | {user.pw_uid for user in everyone if user.pw_name in found.gr_mem})


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


def render(table: str, settings: Settings, users: Users) -> str:
    """Return the rules, as `nft` reads them."""
    inner, outer = ports(settings)
    services = users.services | {0}
    trusted, everyone = services | users.operators, services | users.operators | users.door
    rules = [
        *_to(f'oif "lo" tcp dport {_set(inner)}', trusted),
        *_to(f'oif "lo" tcp dport {_set(outer)}', everyone),
        *_from(f'oif "lo" tcp sport {_set(inner | outer)}', services),
    ]
    arriving = []
    cluster = cluster_of(settings)
    if cluster.is_spread:
        hosts = {address.rpartition(":")[0] for address in cluster.addresses}
        there = {int(address.rpartition(":")[2]) for address in cluster.addresses}
        rules += _to(f"ip daddr {_set(hosts)} tcp dport {_set(there)}", trusted)
        port = f'iif != "lo" tcp dport {settings.hazelcast_port}'
        arriving = [
            f"{port} ip saddr != {_set(hosts)} counter drop",
            f"meta nfproto ipv6 {port} counter drop",
        ]
    return f"table inet {table} {{\n{_chain('output', rules)}{_chain('input', arriving)}}}\n"


def _to(where: str, users: frozenset[int]) -> list[str]:
    """Return rules for packets to a place: a connection begins by a socket of one of the users."""
    return [
        f"{where} {_SYN} meta skuid {_set(users)} accept",
        f"{where} {_SYN} counter reject with tcp reset",
        f"{where} meta skuid != {_set(users)} counter reject with tcp reset",
    ]


def _from(where: str, users: frozenset[int]) -> list[str]:
    """Return rules for packets from a place: what opens or answers a connection is of one of the users."""
    return [
        f"{where} tcp flags & syn == syn meta skuid {_set(users)} accept",
        f"{where} tcp flags & syn == syn counter drop",
        f"{where} meta skuid != {_set(users)} counter drop",
    ]


def _chain(hook: str, rules: list[str]) -> str:
    if not rules:
        return ""
    lines = "".join(f"    {rule}\n" for rule in rules)
    return f"  chain {hook} {{\n    type filter hook {hook} priority filter; policy accept;\n{lines}  }}\n"


def _set(elements: set[int] | set[str] | frozenset[int]) -> str:
    return f"{{ {', '.join(map(str, sorted(elements)))} }}"


def load(table: str, settings: Settings, users: Users) -> None:
    """Replace a table's rules in one step, and note that they hold.

    Raises:
        ServiceError: If `nft` is missing or refuses, or the note cannot be written.
    """
    mark = MARKS / table
    try:
        mark.unlink(missing_ok=True)
        named = f"table inet {table}\n"
        _nft(
            f"{named}delete {named}{render(table, settings, users)}"
        )  # only what is there is deleted
        mark.parent.mkdir(mode=0o755, exist_ok=True)
        mark.write_bytes(msgspec.json.encode(_guarded(settings)))
    except OSError as e:
        raise ServiceError(f"the firewall's note could not be written: {e}") from e


def unload(table: str) -> None:
    """Remove a table.

    Raises:
        ServiceError: If `nft` is missing or refuses.
    """
    (MARKS / table).unlink(missing_ok=True)
    named = f"table inet {table}\n"
    _nft(f"{named}delete {named}")


def holds(settings: Settings) -> bool:
    """Return whether rules for all of the stack's ports are loaded; root asks `nft`, others a note."""
    for mark in MARKS.glob("*"):
        try:
            found = set(msgspec.json.decode(mark.read_bytes(), type=list[int]))
        except (OSError, msgspec.DecodeError):
            continue
        if set(_guarded(settings)) <= found and _is_there(mark.name):
            return True
    return False


def _guarded(settings: Settings) -> list[int]:
    inner, outer = ports(settings)
    return sorted(inner | outer)


def can_load() -> bool:
    """Return whether this process is root's and the program is there."""
    return os.geteuid() == 0 and shutil.which("nft", path=_NFT) is not None


def _is_there(table: str) -> bool:
    """Return whether a table is loaded, True for a user who may not ask: others may flush it."""
    if not can_load():
        return True
    try:
        _nft(f"list table inet {table}\n")
    except ServiceError:
        return False
    return True


def _nft(rules: str) -> None:
    program = shutil.which("nft", path=_NFT)
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
