"""The `dolphin` program: its groups of commands, and how it reports errors.

Exit status: 0 good, 1 what was asked about is not good, 2 usage or settings, 3 a part
could not be reached. Errors go to standard error and say what is wrong and what to do.
"""

import os
import sys
from importlib import import_module
from typing import Any, Final, NamedTuple

import click

from dolphin_realtime import PACKAGE
from dolphin_realtime.config.settings_file import apply_settings
from dolphin_realtime.infra.process import direct_loopback
from dolphin_realtime.model.errors import (
    DeliveryError,
    DolphinError,
    EngineError,
    GridError,
    JournalError,
    MemberError,
    PositionRefused,
    SafetyRefused,
    ScanError,
    ServiceError,
    SettingsError,
    SourceError,
    VenueError,
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
    VenueError: 3,
    EngineError: 1,
}
MALFORMED: Final = (KeyError, TypeError, ValueError, AttributeError)
"""What reading a document of the grid raises if it is malformed."""


class Command(NamedTuple):
    """Where a command is, and its first sentence: the manual is printed without importing any."""

    module: str
    summary: str


COMMANDS: Final = {
    "up": Command("stack", "Start every service in order, each once ready, and stay in the foreground until Ctrl-C"),
    "down": Command("stack", "Stop the stack that runs in DOLPHIN_HOME"),
    "status": Command("stack", "Show services, scan, posture, health, positions, and why it is not trading"),
    "start": Command("stack", "Start a service and wait until it is ready, even if it reached its start limit"),
    "stop": Command("stack", "Stop a service; it stays down until `dolphin start`"),
    "restart": Command("stack", "Stop a service and start it again"),
    "logs": Command("stack", "Print a service's log"),
    "settings": Command("settings", "Every setting: its value, where it comes from, its default, and what it means"),
    "upgrade": Command("upgrade", "What another version of Dolphin would change here"),
    "service": Command("service", "Run one service in the foreground until SIGTERM"),
    "systemd": Command("systemd", "Run the stack under systemd: hardened units, limits, watchdogs, one target"),
    "nginx": Command("nginx", "Print nginx's configuration: login, operators and viewers, no mutation from other sites"),
    "health": Command("inspect", "Five health sensors, their product, the health status, and each subsystem"),
    "maintenance": Command("recovery", "Suspend automatic recovery for a while, with a reason"),
    "alerts": Command("alerts", "What is red now, since when, why, and which runbook section says what to do"),
    "scan": Command("inspect", "The newest scan; judging scan files"),
    "factors": Command("factors", "External and calendar factors: value, unit, age, lifetime, source, effect on the signal"),
    "posture": Command("safety", "What the traders may do, since when and why; set it, or resume"),
    "flatten": Command("safety", "Close every position of every trader now, and open nothing until `dolphin resume`"),
    "position": Command("position", "Handle a held asset whose price is not sound: redenominated, at a new level, delisted"),
    "resume": Command("safety", "Withdraw a commanded posture; it then rises step by step"),
    "live": Command("live", "The account that a live trader trades: fit for it, brought to it, and out of it in an emergency"),
    "journal": Command("journal", "The journal of an instance: the only authoritative record of its trades and positions"),
    "compare": Command("journal", "Compare two instances on the same scans: which orders are alike, and figures side by side"),
    "signals": Command("offline", "Turn scans (folder of scan files, Arrow file or archive) into signals, offline"),
    "backtest": Command("reports", "Trade recorded days by the trader's own code and write the results"),
    "report": Command("reports", "Write the report of one day's paper trading from the journal"),
    "why": Command("why", "Explain the decision on an asset at the scan that was current at a time, UTC"),
    "versus": Command("reports", "Compare a paper day with its backtest: what differs, and why"),
    "sweep": Command("sweep", "Try every parameter set of GRID on each of its days"),
    "replay": Command("offline", "Stand in for NG6: write PRICES (a wide parquet; default the sample) as scan files"),
    "bench": Command("bench", "Measure Dolphin's performance on this machine"),
}  # fmt: skip
"""Every command, in the order of the manual; a module is imported when its command is used."""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return every command, in the order of the manual."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return one command, None if no command has that name."""
        found = COMMANDS.get(cmd_name)
        if found is None:
            return None
        module = import_module(f"dolphin_realtime.cli.{found.module}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write each command with its first sentence."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, found.summary) for name, found in COMMANDS.items()])


def _print_version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        click.echo(f"dolphin {version(PACKAGE)}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version,
              help="The version, and end.")  # fmt: skip
def dolphin() -> None:
    """Dolphin: trades eigenvalue scans on paper and monitors every part of itself.

    \b
    Start here:   dolphin up --demo      replayed market, paper venue, Dagster UI
    Is it well?   dolphin status         services, scan, posture, positions, why not trading
                  dolphin health         the five health sensors; exit status by health status
                  dolphin alerts         what is red, since when, and what to do
    May it trade? dolphin posture        since when, and every reason
    Get out:      dolphin flatten --reason TEXT      close everything, open nothing
    Stop:         dolphin down

    State lies under DOLPHIN_HOME (default var/). Settings: dolphin.toml, and the environment, which
    takes precedence; dolphin settings shows each with its value and where it comes from.
    """


def main() -> None:
    """Run the program; an error of Dolphin's own becomes one line and an exit status."""
    os.environ.update(direct_loopback(os.environ))
    try:
        if sys.argv[1:2] != ["settings"]:
            apply_settings()
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
        sys.exit(next((code for kind, code in EXIT_STATUS.items() if isinstance(e, kind)), 1))
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
