"""Arrays with one slot per name: the state of many assets without loops.

The table of names and saving it belong here; the subclasses define what the arrays mean.
"""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Slots = NDArray[np.intp] | slice
"""Indexes of assets; a slice if they are all assets in order, which numpy reads without a copy."""


class SlotArrays:
    """State arrays over every name ever requested; a new name gets its fields' empty values.

    Attributes:
        FLOATS: Float fields and their empty values.
        INTS: Integer fields and their empty values.
        position: Index of each name in the list requested last.
    """

    FLOATS: ClassVar[dict[str, float]] = {}
    INTS: ClassVar[dict[str, int]] = {}

    def __init__(self) -> None:
        self._slot: dict[str, int] = {}
        self._names: list[str] = []
        self._last_asked: list[str] = []
        self._last_slots: Slots = slice(0, 0)
        self.position: dict[str, int] = {}
        for name in self.FLOATS:
            setattr(self, name, np.zeros(0))
        for name in self.INTS:
            setattr(self, name, np.zeros(0, dtype=np.int64))

    def slots_of(self, names: list[str]) -> Slots:
        """Return the slots of ``names`` in order, making room for new ones."""
        if names == self._last_asked:
            return self._last_slots
        new = [n for n in names if n not in self._slot]
        for name in new:
            self._slot[name] = len(self._names)
            self._names.append(name)
        if new:
            for field, empty in (self.FLOATS | self.INTS).items():
                old = getattr(self, field)
                added = np.full(len(new), empty, dtype=old.dtype)
                setattr(self, field, np.concatenate([old, added]))
        self._last_asked = list(names)
        self.position = {n: i for i, n in enumerate(names)}
        if names == self._names:
            self._last_slots = slice(0, len(names))
        else:
            self._last_slots = np.array([self._slot[n] for n in names], dtype=np.intp)
        return self._last_slots

    def slot(self, name: str) -> int | None:
        """Return the slot of a name that was requested before, or None."""
        return self._slot.get(name)

    def clear(self, which: NDArray[np.bool_]) -> None:
        """Reset slots to their empty values."""
        for field, empty in (self.FLOATS | self.INTS).items():
            getattr(self, field)[which] = empty

    def save(self) -> dict[str, Any]:
        """Return the state as names and raw array bytes; nothing is rounded."""
        fields = {f: getattr(self, f).tobytes() for f in (*self.FLOATS, *self.INTS)}
        return {"names": self._names, **fields}

    @classmethod
    def load(cls, saved: dict[str, Any]) -> Self:
        """Return the state held in what `save` returned."""
        states = cls()
        states.slots_of(saved["names"])
        for field in cls.FLOATS:
            setattr(states, field, np.frombuffer(saved[field], dtype=np.float64).copy())
        for field in cls.INTS:
            setattr(states, field, np.frombuffer(saved[field], dtype=np.int64).copy())
        return states
