"""What the bridge keeps for the grid is bounded by number and by bytes; the newest always stays."""

import asyncio
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid.member.size import HEAP_MIN_MB, heap_mb, scan_bytes_max
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.services.bridge import publish
from dolphin_realtime.services.bridge.outbox import Outbox
from dolphin_realtime.services.bridge.publish import Publisher


@given(st.lists(st.integers(0, 40)), st.integers(1, 12), st.integers(1, 100))
def test_it_holds_the_longest_end_that_fits(sizes, most, most_bytes):
    box, kept, dropped = Outbox(most, most_bytes), [], 0
    for n, size in enumerate(sizes):
        document = f"{n:02d}".ljust(size, "x")
        dropped += box.extend([document])
        kept.append(document)
        while len(kept) > 1 and (len(kept) > most or sum(map(len, kept)) > most_bytes):
            del kept[0]
    assert [d for batch in box.batches(50) for d in batch] == kept
    assert (len(box), box.bytes, dropped) == (
        len(kept),
        sum(map(len, kept)),
        len(sizes) - len(kept),
    )


def test_batches_end_after_the_document_that_fills_them():
    box = Outbox(10, 1000)
    box.extend(["a" * 3, "b" * 3, "c" * 9, "d"])
    assert list(box.batches(5)) == [["a" * 3, "b" * 3], ["c" * 9], ["d"]]


class Ring:
    """A ring buffer that takes documents, or fails after some."""

    def __init__(self):
        self.documents, self.fails_after = [], None

    async def tail_sequence(self):
        return len(self.documents) - 1

    async def add(self, document):
        return await self.add_all([document], 0)

    async def add_all(self, documents, _policy):
        if self.fails_after is not None:
            if self.fails_after == 0:
                raise OSError("away")
            self.fails_after -= 1
        self.documents += documents
        return len(self.documents) - 1


class Map:
    async def set(self, _key, value):
        self.value = value


def publisher(**settings):
    counts = Counter()
    context = SimpleNamespace(
        settings=Settings(**settings),
        counts=counts,
        log=SimpleNamespace(info=lambda *_, **__: None),
        set_phase=lambda *_, **__: None,
        turn=lambda: None,
        count_rejection=lambda reason, **_: counts.update([reason]),
    )
    made = Publisher(context)
    made._map, made._ring = Map(), Ring()
    return made, made._ring, made._map, counts


def test_a_scan_too_large_for_the_member_is_the_newest_and_not_in_the_ring():
    made, ring, newest, counts = publisher()
    most = scan_bytes_max(Settings())
    fits, too_large = "a" * most, "b" * (most + 1)
    assert asyncio.run(made.send([fits, too_large]))
    assert ring.documents == [fits]
    assert newest.value == too_large
    assert counts == {"too_large_for_ring": 1}
    assert asyncio.run(made.send(["c"]))
    assert ring.documents == [fits, "c"]


def test_a_refill_that_breaks_off_begins_again_and_leaves_nothing_out(monkeypatch):
    monkeypatch.setattr(publish, "BATCH_BYTES", 2)
    made, ring, newest, _ = publisher()
    made.remember([str(n) for n in range(10)])
    ring.fails_after = 3
    assert not asyncio.run(made.send(["x"]))
    ring.fails_after = None
    assert asyncio.run(made.send([]))
    assert ring.documents[-11:] == [*map(str, range(10)), "x"]
    assert newest.value == "x"


def test_a_ring_that_was_emptied_without_a_word_is_refilled():
    made, ring, newest, _ = publisher()
    for n in range(5):
        assert asyncio.run(made.send([str(n)]))
    ring.documents.clear()
    assert asyncio.run(made.send(["5"]))
    assert made.has_work
    assert asyncio.run(made.send([]))
    assert ring.documents[-6:] == [*map(str, range(6))]
    assert newest.value == "5"


def test_the_heap_is_by_assets_or_as_it_is_set_and_holds_two_rings():
    assert heap_mb(Settings()) == heap_mb(Settings(assets_max=16)) == HEAP_MIN_MB
    assert heap_mb(Settings(assets_max=2000)) > 2 * 2000 * 123_000 / 2**20
    assert heap_mb(Settings(assets_max=2000, hazelcast_heap_mb=1000)) == 1000
    with pytest.raises(SettingsError, match="128 and more"):
        heap_mb(Settings(hazelcast_heap_mb=96))
    for settings in (Settings(), Settings(assets_max=2000), Settings(hazelcast_heap_mb=300)):
        assert 2000 * scan_bytes_max(settings) < heap_mb(settings) * 2**20 / 2
