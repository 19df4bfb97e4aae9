"""What surrounds the units: target, slices, users, folders, polkit rule, alert unit."""

from typing import Final

from dolphin_realtime.model.health.recovery import OBSERVER
from dolphin_realtime.ops.firewall import DOOR, OPERATORS
from dolphin_realtime.ops.managers.systemd import ENVIRONMENT, PREFIX, unit_of
from dolphin_realtime.ops.runner.services import Spec
from dolphin_realtime.ops.systemd.hardening import HARDENING
from dolphin_realtime.ops.systemd.unit import (
    CREDENTIALS,
    FIREWALL_UNIT,
    OBSERVER_USER,
    TRADER,
    USER,
    VENUE_KEYS,
    Place,
)

SLICES: Final = {
    "dolphin.slice": (
        "[Unit]\nDescription=Dolphin, all of it\n"
        "[Slice]\nMemoryHigh=80%\nMemoryMax=90%\nTasksMax=1500\n"
    ),
    "dolphin-realtime.slice": (
        "[Unit]\nDescription=Dolphin's realtime services\n[Slice]\nCPUWeight=400\n"
    ),
    "dolphin-control.slice": (
        "[Unit]\nDescription=Dolphin's scheduled work\n[Slice]\nCPUWeight=100\n"
    ),
}

_POLKIT: Final = """\
// Meta health may start or restart these units and nothing else: not stop them, not touch itself.
polkit.addRule(function(action, subject) {{
  if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == "{user}") {{
    var units = [{units}];
    var verbs = ["start", "try-restart", "reset-failed"];
    if (units.indexOf(action.lookup("unit")) >= 0 && verbs.indexOf(action.lookup("verb")) >= 0)
      return polkit.Result.YES;
    return polkit.Result.NO;
  }}
}});
"""

_ALERT: Final = """\
[Unit]
Description=Dolphin alert: %i failed

[Service]
Type=oneshot
User={user}
Group={user}
ExecStart={python} -m dolphin_realtime.ops.systemd.unit_failed %i
WorkingDirectory={root}
Environment=DOLPHIN_HOME={home}
EnvironmentFile=-{environment}
ReadWritePaths={home}/run_logs
MemoryDenyWriteExecute=yes
MemoryMax=256M
TasksMax=20
IPAddressDeny=any
TimeoutStartSec=30
{hardening}
"""


_FIREWALL: Final = """\
[Unit]
Description=Dolphin firewall: which users of this machine reach the stack's ports
After=network-pre.target systemd-sysusers.service nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service
OnFailure={prefix}alert@%n.service

[Service]
Type=oneshot
RemainAfterExit=yes
Restart=on-failure
RestartSec=30
CPUQuota=100%
User={user}
Group={user}
ExecStart={python} -m dolphin_realtime.ops.systemd.load_firewall
ExecReload={python} -m dolphin_realtime.ops.systemd.load_firewall
ExecStop={python} -m dolphin_realtime.ops.systemd.load_firewall --unload
WorkingDirectory={root}
EnvironmentFile=-{environment}
Environment=DOLPHIN_HOME={home}
RuntimeDirectory=dolphin
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
MemoryDenyWriteExecute=yes
MemoryMax=256M
TasksMax=20
TimeoutStartSec=30
IPAddressDeny=any
{hardening}
RestrictAddressFamilies=AF_NETLINK
CapabilityBoundingSet=CAP_NET_ADMIN
AmbientCapabilities=CAP_NET_ADMIN
"""


def render_firewall(place: Place, python: str) -> str:
    """Return the unit that loads the firewall's rules: it stays active, also without the stack."""
    return _FIREWALL.format(
        prefix=PREFIX, user=USER, python=python, root=place.root, home=place.home,
        environment=ENVIRONMENT, hardening=HARDENING,
    )  # fmt: skip


def render_target(specs: list[Spec], *, has_firewall: bool) -> str:
    """Return the target that wants every service."""
    units = " ".join(
        [*([FIREWALL_UNIT] if has_firewall else []), *(unit_of(s.name) for s in specs)]
    )
    return f"[Unit]\nDescription=Dolphin\nWants={units}\n\n[Install]\nWantedBy=multi-user.target\n"


def render_alert(place: Place, python: str) -> str:
    """Return the unit that writes an alert when another has failed."""
    return _ALERT.format(
        user=USER, python=python, root=place.root, home=place.home,
        environment=ENVIRONMENT, hardening=HARDENING,
    )  # fmt: skip


def render_polkit(specs: list[Spec]) -> str:
    """Return the polkit rule that lets meta health restart every service except itself."""
    names = [unit_of(s.name) for s in specs if s.name != OBSERVER]
    return _POLKIT.format(user=OBSERVER_USER, units=", ".join(f'"{n}"' for n in names))


def render_users() -> str:
    """Return the sysusers.d file: one user for all services, one for meta health; two groups."""
    return (
        f"g {OPERATORS} -\ng {DOOR} -\n"
        f'u {USER} - "Dolphin" /var/lib/dolphin\n'
        f'u {OBSERVER_USER} - "Dolphin meta health" /\n'
        f"m {OBSERVER_USER} {USER}\n"
    )


def render_folders(specs: list[Spec], place: Place) -> str:
    """Return the tmpfiles.d file; a missing exchange key becomes an empty file: paper trading."""
    shared = ("health", "run_logs")
    lines = [f"d {place.home} 2750 {USER} {USER} -"]
    lines += [f"d {place.home}/{name} 2770 {USER} {USER} -" for name in shared]
    lines += [f"d {place.home}/{name} 2750 {USER} {USER} -" for name in ("run", "scans")]
    lines += [f"d {place.cache} 0755 root root -"]
    lines += [f"d {CREDENTIALS.parent} 0755 root root -", f"d {CREDENTIALS} 0700 root root -"]
    for spec in specs:
        if spec.name.startswith(TRADER):
            instance = spec.name.removeprefix(TRADER)
            lines += [f"f {CREDENTIALS}/{k}.{instance} 0600 root root -" for k in VENUE_KEYS]
    return "\n".join(lines) + "\n"


ALERT_UNIT: Final = f"{PREFIX}alert@.service"
