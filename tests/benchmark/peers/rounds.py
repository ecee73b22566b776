"""Timing in alternating rounds: whatever else the machine does, it does to everybody."""

import gc
import statistics
import time

# Threads of other libraries look for more work for a while after a call; so long nobody is timed.
SETTLE_SECONDS = 0.1
LEAST_BLOCK_SECONDS = 0.02
MOST_BLOCK_SECONDS = 0.3


def _seconds_of(run, calls):
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return time.perf_counter() - start


def _calls_in_a_block(run, block_seconds):
    once = min(_seconds_of(run, 1) for _ in range(3))
    return max(1, min(20_000, int(block_seconds / max(once, 1e-7))))


def median_milliseconds(contestants, *, rounds, seconds):
    """{name: milliseconds of one call} of Prepared contestants, the median over the rounds.

    In each round everybody gets one block of calls, in an order that turns from round to round,
    after one call that does not count. `seconds` bounds the time of all blocks, roughly: a call
    is never cut short.
    """
    block = seconds / (rounds * len(contestants)) - SETTLE_SECONDS
    block = max(LEAST_BLOCK_SECONDS, min(MOST_BLOCK_SECONDS, block))
    calls = {each.name: _calls_in_a_block(each.run, block) for each in contestants}
    samples = {each.name: [] for each in contestants}
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            first = turn % len(contestants)
            for each in contestants[first:] + contestants[:first]:
                time.sleep(SETTLE_SECONDS)
                each.run()
                took = _seconds_of(each.run, calls[each.name])
                samples[each.name].append(1e3 * took / calls[each.name])
    finally:
        gc.enable()
    return {name: statistics.median(times) for name, times in samples.items()}
