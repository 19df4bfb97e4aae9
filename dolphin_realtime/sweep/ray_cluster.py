"""Trials on a Ray cluster: the same function and records on more machines.

Every node needs this version of Dolphin and the scans at the same path. A trial takes a processor and
the memory that the settings name, so that a node gets no more trials than it has room for. Ray retries a
trial whose worker or node dies up to three times; then the trial counts as failed.
"""

from collections.abc import Iterator
from typing import Any, Final

from dolphin_realtime.infra.extras import need
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.sweep.trial import WORKER_DIED, Trial, TrialResult, failed, run_trial

RETRIES: Final = 3
AHEAD: Final = 2
"""Trials submitted at once per processor of the cluster."""


def run_on_ray(trials: list[Trial], address: str, trial_mb: int) -> Iterator[TrialResult]:
    """Yield the result of every trial as it comes.

    Raises:
        SettingsError: If Ray is not installed.
        ServiceError: If there is no cluster at the address, or no node of it has room for a trial.
    """
    need("ray", "ray", "DOLPHIN_RAY_ADDRESS")
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as e:
        raise ServiceError(f"no Ray cluster at {address}: {e}") from e
    try:
        yield from _spread(ray, trials, trial_mb)
    finally:
        ray.shutdown()


def _spread(ray: Any, trials: list[Trial], trial_mb: int) -> Iterator[TrialResult]:
    """Keep the cluster busy with a bounded number of trials at once."""
    memory = trial_mb << 20
    rooms = [node["Resources"].get("memory", 0) for node in ray.nodes() if node["Alive"]]
    if max(rooms, default=0) < memory:  # Ray itself would wait for such a node for ever
        largest = int(max(rooms, default=0)) >> 20
        raise ServiceError(
            f"no node of the Ray cluster has {trial_mb} MB (DOLPHIN_SWEEP_TRIAL_MB) for a trial: the "
            f"largest has {largest}"
        )
    remote = ray.remote(max_retries=RETRIES, num_cpus=1, memory=memory)(run_trial)
    at_once = max(1, int(ray.cluster_resources().get("CPU", 1))) * AHEAD
    waiting = list(reversed(trials))
    flying: dict[Any, Trial] = {}
    while waiting or flying:
        while waiting and len(flying) < at_once:
            trial = waiting.pop()
            flying[remote.remote(trial)] = trial
        done, _ = ray.wait(list(flying))
        for reference in done:
            yield _result(ray, reference, flying.pop(reference))


def _result(ray: Any, reference: Any, trial: Trial) -> TrialResult:
    try:
        result: TrialResult = ray.get(reference)
    except ray.exceptions.RayError as e:
        return failed(trial, f"{WORKER_DIED}: {type(e).__name__}")
    return result
