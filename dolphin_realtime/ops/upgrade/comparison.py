"""What changes from one version to another for who runs it, from what each says of itself. Pure."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

AFTER: Final = "**After this upgrade**"
"""Begins the part of a changelog's entry that says what is to be done."""
_ENTRY: Final = re.compile(r"^- .*(?:\n  .*)*", re.MULTILINE)
_SETTING: Final = re.compile(r"^\| `(DOLPHIN_[A-Z0-9_]+)` \|(.*?)\| ", re.MULTILINE)
_PACKAGE: Final = re.compile(r"^([\w.-]+)==([^ ;\\]+)", re.MULTILINE)


class Version(NamedTuple):
    """What a version says of itself: its name, CHANGELOG.md, docs/settings.md, requirements.lock."""

    name: str
    changes: str
    settings: str
    lock: str


class Change(NamedTuple):
    """A value here and there; empty where there is none."""

    name: str
    here: str
    there: str


class Upgrade(NamedTuple):
    """What an upgrade brings.

    Attributes:
        news: Entries of the changelog that are new there.
        to_do: What the new entries say is to be done after the upgrade.
        gone: Settings in use here that are not known there: they stand in the way.
        defaults: Settings not in use here whose default changes.
        packages: Packages whose version changes.
    """

    here: str
    there: str
    news: list[str]
    to_do: list[str]
    gone: list[str]
    defaults: list[Change]
    packages: list[Change]


def compare(here: Version, there: Version, used: Collection[str]) -> Upgrade:
    """Return what changes.

    Args:
        here: The version that is installed.
        there: The other one.
        used: Variables of the settings that are set here; those of one trader in their general form.
    """
    known = set(_entries(here.changes))
    news = [entry for entry in _entries(there.changes) if entry not in known]
    old, new = _defaults(here.settings), _defaults(there.settings)
    return Upgrade(
        here=here.name,
        there=there.name,
        news=news,
        to_do=[e[e.index(AFTER) + len(AFTER) :].lstrip(" ,:") for e in news if AFTER in e],
        gone=sorted(name for name in used if name in old and name not in new),
        defaults=[c for c in _changes(old, new) if {*old} & {*new} & {c.name} - {*used}],
        packages=list(_changes(_packages(here.lock), _packages(there.lock))),
    )


def _entries(changelog: str) -> list[str]:
    return [re.sub(r"\n\s+", " ", entry)[2:] for entry in _ENTRY.findall(changelog)]


def _defaults(settings: str) -> dict[str, str]:
    return {name: default.strip() for name, default in _SETTING.findall(settings)}


def _packages(lock: str) -> dict[str, str]:
    return dict(_PACKAGE.findall(lock))


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield Change(name, old.get(name, ""), new.get(name, ""))
