"""`dolphin.toml`: the settings of a stack in one file; the environment takes precedence.

A table is a group: ``[signal] s_in = 1.2`` is DOLPHIN_SIGNAL_S_IN, ``[instance.GREEN.signal]`` is for
one trader alone, ``[stack]`` holds what has no group. The file only stands in for variables that are
not set: whatever reads settings reads the environment.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from dolphin_realtime.model.errors import SettingsError

NAMED_BY: Final = "DOLPHIN_SETTINGS"
"""Variable that names the file; without it `dolphin.toml` of the working directory is read, if any."""
FILE: Final = "dolphin.toml"
STACK: Final = "stack"
INSTANCE: Final = "instance"
OF_A_TRADER: Final = {
    "signal": "SIGNAL_", "target": "TARGET_", "cost": "COST_", "limit": "LIMIT_", "paper": "PAPER_",
}  # fmt: skip
TABLES: Final = {
    STACK: "", **OF_A_TRADER, "safety_limit": "SAFETY_LIMIT_", "source": "SOURCE_", "live": "LIVE_",
    "replay": "REPLAY_",
}  # fmt: skip
_PREFIX: Final = "DOLPHIN_"


def settings_path(env: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file of settings, None if there is none.

    Raises:
        SettingsError: If the variable names a file that is not there.
    """
    given = env.get(NAMED_BY, "")
    path = Path(given or FILE)
    if path.is_file():
        return path.absolute()
    if given:
        raise SettingsError(f"{NAMED_BY}: {given} is no file")
    return None


def read_settings(path: Path) -> dict[str, str]:
    """Return a file's settings as variables.

    Raises:
        SettingsError: If it cannot be read, or a table or a value is not of a kind that is known.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise SettingsError(f"{path}: {e}") from e
    return dict(_variables(path, content))


def apply_settings(env: MutableMapping[str, str] = os.environ) -> Path | None:
    """Set the variables of the file that the environment does not set; return the file.

    Raises:
        SettingsError: As `settings_path` and `read_settings` do.
    """
    path = settings_path(env)
    if path is not None:
        for name, value in read_settings(path).items():
            env.setdefault(name, value)
        env[NAMED_BY] = str(path)  # for the processes of the stack, wherever they run
    return path


def _variables(path: Path, content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for table, found in content.items():
        values = _table(path, table, found)
        if table == INSTANCE:
            for name, groups in values.items():
                yield from _of_instance(path, name, groups)
        else:
            prefix = _known(path, table, TABLES)
            yield from _fields(path, table, values, f"{_PREFIX}{prefix}")


def _of_instance(path: Path, name: str, groups: Any) -> Iterator[tuple[str, str]]:
    if not name.isalnum():
        raise SettingsError(f"{path}: [{INSTANCE}.{name}]: a name has letters and digits alone")
    for table, values in _table(path, f"{INSTANCE}.{name}", groups).items():
        prefix = _known(path, table, OF_A_TRADER, f"{INSTANCE}.{name}.")
        yield from _fields(path, f"{INSTANCE}.{name}.{table}", values, f"{_PREFIX}{name}__{prefix}")


def _fields(path: Path, table: str, values: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for field, value in _table(path, table, values).items():
        yield f"{prefix}{field.upper()}", _text(path, f"[{table}] {field}", value)


def _table(path: Path, name: str, found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise SettingsError(
            f"{path}: {name} = {found!r} is outside of a table; known: {', '.join(TABLES)}"
        )
    return found


def _known(path: Path, table: str, known: Mapping[str, str], before: str = "") -> str:
    if table in known:
        return known[table]
    near = get_close_matches(table, known, 1)
    meant = f"did you mean [{before}{near[0]}]? " if near else ""
    raise SettingsError(f"{path}: [{before}{table}]: {meant}known tables: {', '.join(known)}")


def _text(path: Path, where: str, value: Any) -> str:
    """Return a value as the environment would hold it; a list is separated by commas."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ",".join(map(str, value))
    if isinstance(value, str | int | float):
        return str(value)
    raise SettingsError(f"{path}: {where} = {value!r}: a text, a number or a list of them")
