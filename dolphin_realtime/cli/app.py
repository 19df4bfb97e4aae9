"""The `dolphin` program: its groups of commands, and how errors leave it.

Exit status: 0 good, 1 the thing asked about is not good, 2 usage or settings, 3 a part
could not be reached. Errors go to standard error as what is wrong and what to do.
"""

import os
import sys
from importlib import import_module
from typing import Any, Final

import click

from dolphin_realtime.infra.process import direct_loopback
from dolphin_realtime.model.errors import (
    DeliveryError,
    DolphinError,
    GridError,
    JournalError,
    MemberError,
    PositionRefused,
    SafetyRefused,
    ScanError,
    ServiceError,
    SettingsError,
    SourceError,
)

EXIT_STATUS: Final[dict[type[DolphinError], int]] = {
    SettingsError: 2,
    GridError: 3,
    ServiceError: 3,
    DeliveryError: 3,
    MemberError: 1,
    SafetyRefused: 1,
    PositionRefused: 1,
    JournalError: 1,
    ScanError: 1,
    SourceError: 3,
}
MALFORMED: Final = (KeyError, TypeError, ValueError, AttributeError)
"""What reading a document of the grid raises where another program wrote nonsense into it."""
COMMANDS: Final = {
    "up": "stack",
    "down": "stack",
    "status": "stack",
    "start": "stack",
    "stop": "stack",
    "restart": "stack",
    "logs": "stack",
    "service": "service",
    "systemd": "systemd",
    "nginx": "nginx",
    "health": "inspect",
    "maintenance": "recovery",
    "alerts": "alerts",
    "scan": "inspect",
    "factors": "factors",
    "posture": "safety",
    "flatten": "safety",
    "position": "position",
    "resume": "safety",
    "journal": "journal",
    "compare": "journal",
    "signals": "offline",
    "backtest": "reports",
    "report": "reports",
    "versus": "reports",
    "sweep": "sweep",
    "replay": "offline",
    "bench": "bench",
}
"""Each command and the module that holds it: a module is imported when it is used."""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return every command, in the order of the manual."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return one command, None where there is none of that name."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(import_module(f"dolphin_realtime.cli.{module}"), cmd_name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def dolphin() -> None:
    """Dolphin: eigenvalue scans in, paper orders out, every part watched.

    \b
    Start here:   dolphin up --demo      replayed market, paper venue, Dagster UI
    Is it well?   dolphin status         services, scan, posture, positions, why not trading
                  dolphin health         the five health sensors; exit status says the word
                  dolphin alerts         what is red, since when, and what to do
    May it trade? dolphin posture        since when, and every reason
    Get out:      dolphin flatten --reason TEXT      close everything, open nothing
    Stop:         dolphin down

    State lies under DOLPHIN_HOME (default var/); docs/settings.md lists every setting.
    """


def main() -> None:
    """Run the program; a deliberate error becomes one line and an exit status."""
    os.environ.update(direct_loopback(os.environ))
    try:
        dolphin(standalone_mode=False)
    except click.exceptions.Exit as e:
        sys.exit(e.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as e:
        e.show()
        sys.exit(2)
    except DolphinError as e:
        click.echo(f"dolphin: {e}", err=True)
        sys.exit(next(code for kind, code in EXIT_STATUS.items() if isinstance(e, kind)))
    except MALFORMED as e:
        what = f"{type(e).__name__}: {e}"
        click.echo(f"dolphin: a document or file is not as it should be ({what})", err=True)
        sys.exit(3)
    except PermissionError as e:
        click.echo(f"dolphin: {e}; run it as root, or as the user of the stack", err=True)
        sys.exit(3)
    except BrokenPipeError:
        sys.exit(0)


def say(text: str, **style: Any) -> None:
    """Print one line for a person."""
    click.secho(text, **style)
