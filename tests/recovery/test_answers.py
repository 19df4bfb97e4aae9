"""Commands answer while the member hangs, from what is on disk."""

import os
import signal
import time

from tests.integration.conftest import eventually
from tests.recovery.contract import comes_back


def test_health_and_status_answer_while_the_member_hangs(host):
    pid = host.pid("hazelcast")
    member = int(host.desk.document("DOLPHIN_HEARTBEAT", "hazelcast")["pid"])
    os.kill(member, signal.SIGSTOP)
    began = time.monotonic()
    done = host.desk.cli("health")
    assert "does not answer" in done.stderr
    assert "rm_meta" in done.stdout, "what was last written to disk"
    assert "GRID_AWAY" in (host.status()["not_trading_because"] or "")
    assert time.monotonic() - began < 40, "each bounded; a hang would be a minute's time-out"
    comes_back(host, "hazelcast", pid, timeout_s=120)
    eventually(lambda: host.events("hazelcast") == ["acts", "cured"], 60, host.ledger)
