"""Where the grid is: the name of its cluster and the addresses of its members.

One member on this machine is the default. With several, each machine runs one; which members a trader
must see, so that it is not in the smaller part of a divided network, is said here too.
"""

import ipaddress

import msgspec

from dolphin_realtime.config.services import HAZELCAST
from dolphin_realtime.config.settings import Settings, listed
from dolphin_realtime.model.errors import SettingsError


class Cluster(msgspec.Struct, frozen=True):
    """A cluster to connect to.

    Attributes:
        name: Its name.
        addresses: Its members, host:port; the one of this machine first.
    """

    name: str
    addresses: tuple[str, ...]

    @property
    def is_spread(self) -> bool:
        """Whether it has more than one member."""
        return len(self.addresses) > 1


def cluster_here(name: str, port: int) -> Cluster:
    """Return the cluster of one member on this machine's loopback address."""
    return Cluster(name, (f"127.0.0.1:{port}",))


def cluster_of(settings: Settings) -> Cluster:
    """Return the cluster of the settings.

    Raises:
        SettingsError: If an address is malformed or there twice, or too few members would do.
    """
    own, all_of_them = settings.own_address, listed(settings.grid_members)
    if not all_of_them:
        return Cluster(settings.cluster_name, (own,))
    for address in all_of_them:
        host, _, port = address.rpartition(":")
        if not _is_number(host) or not port.isdigit():
            raise SettingsError(
                f"DOLPHIN_GRID_MEMBERS: {address!r} is not address:port, e.g. 10.0.0.1:5701"
            )
    if len(set(all_of_them)) < len(all_of_them):
        raise SettingsError("DOLPHIN_GRID_MEMBERS names an address twice")
    least, n = settings.grid_members_min, len(all_of_them)
    if least and not n // 2 < least <= n:
        raise SettingsError(
            f"DOLPHIN_GRID_MEMBERS_MIN is {least}: more than half of {n} members, and {n} at the most"
        )
    nearest_first = sorted(all_of_them, key=lambda address: address != own)
    return Cluster(settings.cluster_name, tuple(nearest_first))


def _is_number(host: str) -> bool:
    """Return whether this is an address, not a name: members tell theirs as numbers."""
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def name_of_member(settings: Settings) -> str:
    """Return the name under which this machine's member writes heartbeats.

    The first member of the list is that of the stack: it bears the service's name.
    """
    own, members = settings.own_address, listed(settings.grid_members)
    return HAZELCAST if not members or members[0] == own else f"{HAZELCAST}@{own}"


def members_needed(settings: Settings) -> int:
    """Return how many members a trader must see to open anything: more than half, if not set.

    With one member there is nothing to be divided: 0.
    """
    cluster = cluster_of(settings)
    if not cluster.is_spread:
        return 0
    return settings.grid_members_min or len(cluster.addresses) // 2 + 1
