"""Trials on this machine: a bounded pool of processes that tolerates the death of workers.

A dying worker breaks its pool; the unfinished trials are run again, in the end one per process, so
that only a trial that kills its worker fails. Workers die with the process that runs the sweep.
"""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Final

from dolphin_realtime.infra.process import die_with_parent
from dolphin_realtime.sweep.trial import WORKER_DIED, Trial, TrialResult, failed, run_trial

BREAKS_TOGETHER: Final = 2
"""Broken pools before the remaining trials are run one per process."""
TRIALS_A_WORKER: Final = 50
"""A pool is replaced after this many trials per worker, to free the memory that Nautilus keeps.
(The executor's own max_tasks_per_child stops handing out work on Python 3.13.0.)"""


def workers_by_default(trial_mb: int) -> int:
    """Return the default number of workers, at least one.

    One less than there are processors, and no more than the memory that is free now is enough for.
    """
    free_mb = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return max(1, min((os.cpu_count() or 2) - 1, free_mb // trial_mb))


def run_local(trials: list[Trial], workers: int) -> Iterator[TrialResult]:
    """Yield the result of every trial as it comes; a trial whose worker dies is a failure."""
    step = TRIALS_A_WORKER * workers
    for begin in range(0, len(trials), step):
        yield from _survived(trials[begin : begin + step], workers)


def _survived(trials: list[Trial], workers: int) -> Iterator[TrialResult]:
    """Yield the results of some trials; trials that a broken pool left unfinished run again."""
    left = {trial.key: trial for trial in trials}
    for _ in range(BREAKS_TOGETHER):
        for result in _pooled(list(left.values()), workers):
            del left[result.key]
            yield result
        if not left:
            return
    for trial in list(left.values()):
        done = list(_pooled([trial], 1))
        yield done[0] if done else failed(trial, WORKER_DIED)


def _pooled(trials: list[Trial], workers: int) -> Iterator[TrialResult]:
    """Yield results until all are there or the pool is broken."""
    if not trials:
        return
    with ProcessPoolExecutor(
        max_workers=min(workers, len(trials)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=die_with_parent,
    ) as pool:
        waiting: list[Future[TrialResult]] = [pool.submit(run_trial, trial) for trial in trials]
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BrokenProcessPool:
            return
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
