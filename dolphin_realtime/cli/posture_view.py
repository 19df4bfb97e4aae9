"""The safety document in words: where traders differ, and which flattens stand. Pure."""

from typing import Any


def instances_apart(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the postures of the traders by name; none where all have the same."""
    instances: dict[str, dict[str, Any]] = document.get("instances") or {}
    return instances if len({one["posture"] for one in instances.values()}) > 1 else {}


def flattens(document: dict[str, Any]) -> list[str]:
    """Return a line for each flatten that stands: for every trader, or for one."""
    whole, instances = document.get("flatten"), document.get("instances") or {}
    own = {name: one.get("flatten") for name, one in instances.items()}
    found = {"": whole, **{name: f for name, f in own.items() if f != whole}}
    return [
        f"flatten{f' of {name}' if name else ''} ordered by {f['who']} at {f['at']}: {f['reason']}"
        for name, f in found.items()
        if f
    ]
