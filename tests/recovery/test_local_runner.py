"""The local runner owes what systemd owes: the contract, held by both (tests/systemd)."""

import os
import signal
from pathlib import Path

import pytest

from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.ops.runner.managed import Managed, StartLimits
from dolphin_realtime.ops.runner.services import Spec
from tests.recovery import contract

pytestmark = pytest.mark.timeout(180)


def test_the_contract_of_a_service_manager(host):
    contract.stopped_it_meets_the_watchdog(host, "trader@BLUE")
    contract.restarts_of_meta_health_leave_nothing_at_its_limit(host, "bridge")
    contract.stopped_by_an_operator_it_is_left_alone(host, "safety")


def test_a_service_at_its_limit_is_started_by_nobody_until_that_is_reset(host):
    host.command("stop", "meta-health")
    contract.crash_to_its_limit(host, "bridge")
    host.manager.start("bridge", wait=True)
    assert host.state("bridge") == "failed"
    host.manager.try_restart("bridge")
    assert host.state("bridge") == "failed"
    host.manage("reset_failed", "bridge")
    host.manager.start("bridge", wait=True)
    assert host.state("bridge") == "running"


def test_a_stop_during_a_restart_holds(host):
    pid = host.pid("bridge")
    host.kill("bridge", signal.SIGSTOP)
    host.manage("try_restart", "bridge")
    host.command("stop", "bridge")
    host.turns(4)
    assert (host.state("bridge"), host.pid("bridge")) == ("stopped", 0)
    assert not Path(f"/proc/{pid}").exists()
    host.command("start", "bridge")
    host.trades_on()


async def test_a_program_that_is_not_there_fails_at_the_start_limit(tmp_path):
    spec = Spec(name="absent", command=["/nonexistent/program"])
    managed = Managed(spec, dict(os.environ), tmp_path, StartLimits(0.01, 3, 60.0))
    managed.start()
    await managed.came_up()
    assert (managed.state, managed.restarts) == ("failed", 3)
    await managed.stop()
    managed.close()
    assert managed.state == "stopped"


def test_a_service_that_is_unknown_is_named_with_those_there_are(host):
    with pytest.raises(ServiceError, match=r"no service 'brige'; known: hazelcast, "):
        host.manager.stop("brige")
