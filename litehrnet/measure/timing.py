"""Timing functions in turn, in several sessions. Speed is measured in this way for three reasons:

- Milliseconds depend on the machine, its load and the moment. The ratio of two consecutive runs hardly does, because
  whatever slows one of them also slows the other. So models run in turn, once per round, and ratios are taken within a
  round.
- Where a model lands in memory makes it faster or slower by a few per cent for as long as it stays loaded, in all its
  rounds. So models are loaded again for every session, in a different order.
- A session therefore counts once, with the median of its rounds. `litehrnet.measure.statistics` gives the median over
  the sessions, and an interval for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["SESSIONS", "SPIN_SECONDS", "time_in_turn", "time_sessions"]

SESSIONS = 6  # the smallest number that gives the median a 95 % interval
SPIN_SECONDS = 0.02  # a runtime's threads look for work this long before they sleep, and occupy a core meanwhile


def time_in_turn(
    runs: Sequence[Callable[[], object]],
    rounds: int = 50,
    warmup: int = 5,
    pause: float = 0.0,
    clock: Callable[[], float] = time.perf_counter,
) -> np.ndarray:
    """Seconds of each call, (rounds, len(runs)); every round calls each once, odd rounds in the opposite order.

    Args:
        runs: the functions to time.
        rounds: how many times to call each.
        warmup: calls of each before the first that counts.
        pause: seconds before each call, so that spinning threads of the previous call can go to sleep.
        clock: returns seconds. `time.thread_time` leaves out what other programs take from this thread, which hits a
            long run more often than a short one; it sees no other thread either.

    Raises:
        ValueError: nothing to run, or no rounds.
    """
    if not runs or rounds < 1:
        raise ValueError(f"timing takes at least one model and one round, got {len(runs)} and {rounds}")
    for run_one in runs:
        for _ in range(warmup):
            run_one()
    times = np.empty((rounds, len(runs)))
    for i in range(rounds):
        order = range(len(runs)) if i % 2 == 0 else reversed(range(len(runs)))
        for k in order:
            time.sleep(pause)
            start = clock()
            runs[k]()
            times[i, k] = clock() - start
    return times


def time_sessions(
    loaders: Sequence[Callable[[], Callable[[], object]]],
    sessions: int = SESSIONS,
    rounds: int = 10,
    pause: float = 0.0,
) -> np.ndarray:
    """`time_in_turn` of models that are loaded again for every session: seconds, (sessions, rounds, len(loaders)).

    Args:
        loaders: each loads a model and returns the function to time.
        sessions: how many times all are loaded, each time in a different order.
        rounds: calls of each in a session.
        pause: seconds before each call.

    Raises:
        ValueError: nothing to run, no sessions or no rounds.
    """
    if sessions < 1:
        raise ValueError(f"timing takes at least one session, got {sessions}")
    order, times = np.random.default_rng(0), []
    for _ in range(sessions):
        loaded = {k: loaders[k]() for k in order.permutation(len(loaders))}
        times.append(time_in_turn([loaded[k] for k in range(len(loaders))], rounds, pause=pause))
        del loaded  # before the next ones are loaded, so that they can land elsewhere in memory
    return np.stack(times)
