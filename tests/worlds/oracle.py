"""Which prices are sound, told by a second program: plain loops over plain numbers."""

import math


class Oracle:
    """The rule of docs/signal.md, one asset after the other."""

    def __init__(self, n_min=10):
        self.n_min, self.known = n_min, {}

    def judge(self, scan):
        """Return what is sound of a scan in order with distinct names: price by asset."""
        now = scan.timestamp_us / 1e6
        usable = {
            a: p for a, p in zip(scan.assets, scan.prices, strict=True)
            if p is not None and math.isfinite(p) and p > 0
        }  # fmt: skip
        for a in [a for a, s in self.known.items() if now - s["seen"] > 7 * 86_400]:
            del self.known[a]
        far = {a for a, p in usable.items() if a in self.known and self._is_far(a, p, now)}
        n_known = sum(1 for a in usable if a in self.known)
        is_leap = n_known >= self.n_min and len(far) > n_known / 2
        doubtful = set()
        for a in far:
            s, p = self.known[a], usable[a]
            is_never = abs(math.log(p / s["p"])) >= math.log(5)
            if is_leap and not is_never:
                continue
            is_near = s["q"] is not None and abs(math.log(p / s["q"])) <= math.log(1.2)
            s["count"] = s["count"] + 1 if is_near else 1
            s["q"] = p
            if s["count"] < 3 or is_never:
                doubtful.add(a)
        for a in usable:
            self.known.setdefault(a, {"p": None, "t": now, "c": now, "q": None, "count": 0})
            self.known[a]["seen"] = now
        rest = [a for a in usable if a not in doubtful]
        changed = {a: now if usable[a] != self.known[a]["p"] else self.known[a]["c"] for a in rest}
        moving = sum(1 for a in rest if now - changed[a] <= 1800)
        sound = {}
        for a in rest:
            if now - changed[a] > 1800 and moving >= self.n_min:
                continue
            sound[a] = usable[a]
            self.known[a] |= {"p": usable[a], "t": now, "c": changed[a], "q": None, "count": 0}
        return sound

    def _is_far(self, a, p, now):
        s = self.known[a]
        move = abs(math.log(p / s["p"]))
        bound = math.log(1.2) * max(1.0, math.sqrt((now - s["t"]) / 60))
        return move > bound or move >= math.log(5)
