"""`python -m dolphin_realtime.ops.systemd.load_firewall [--unload]`: load the units' firewall rules.

It is the firewall's unit; `systemctl reload dolphin-firewall` runs it again after a change of a group.
"""

import sys

from dolphin_realtime.config.loading import load
from dolphin_realtime.config.settings_file import apply_settings
from dolphin_realtime.model.errors import DolphinError
from dolphin_realtime.ops import firewall
from dolphin_realtime.ops.systemd.unit import OBSERVER_USER, USER


def main() -> None:
    """Load or remove the rules, or end with what to do."""
    try:
        apply_settings()
        settings = load()
        if sys.argv[1:] == ["--unload"] or settings.firewall == "off":
            firewall.unload(firewall.UNITS)
            return
        users = firewall.users_of(firewall.uids(USER, OBSERVER_USER))
        firewall.load(firewall.UNITS, settings, users)
    except DolphinError as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()
