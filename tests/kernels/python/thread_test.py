"""Threads: the same bits for any number, from several callers at once, and after a fork."""

import contextlib
import os
import pathlib
import signal
import threading
import time
import unittest
import warnings

import numpy

import attention_kernels
from reference import operands

attend = attention_kernels.scaled_dot_product_attention


def parts(result):
    """All numbers of one array or of several."""
    return numpy.concatenate([numpy.ravel(part) for part in result])


def two_take_part(arrays, threads=2):
    """Whether in one of many computations the second thread got something to do."""
    return any(attend(*arrays, threads=threads, return_report=True)[1].threads == 2
               for _ in range(100))


@contextlib.contextmanager
def bound_to(processors):
    """Where the calling thread may run meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def holds_in_a_child(condition):
    """Whether it does, within some seconds, in a forked process with the caller's thread alone."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        child = os.fork()  # Of a process with threads, on purpose.
    if child == 0:
        signal.alarm(60)
        holds = False
        try:
            holds = condition()
        finally:
            os._exit(0 if holds else 1)
    return os.waitpid(child, 0)[1] == 0


def helpers():
    """The system's numbers of the threads that compute beside a caller."""
    folder = pathlib.Path("/proc/self/task")
    return [int(task.name) for task in folder.iterdir()
            if (task / "comm").read_text() == "attention\n"]


def processor_of(thread):
    """Where it ran last."""
    fields = pathlib.Path(f"/proc/self/task/{thread}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[36])


class ThreadTest(unittest.TestCase):
    def test_the_number_changes_no_bit(self):
        for options in ({}, {"is_causal": True}, {"key_lengths": [200, 3]},
                        {"precision": "bf16_x6"}, {"return_weights": True}):
            arrays = operands(heads=4, key_value_heads=2, queries=300, keys=333)
            with self.subTest(options=options):
                want = attend(*arrays, threads=1, **options)
                for threads in (2, 3, 4, 9, None):
                    got = attend(*arrays, threads=threads, **options)
                    numpy.testing.assert_array_equal(parts(got), parts(want))

    def test_no_more_take_part_than_asked_for(self):
        arrays = operands(heads=8, queries=300, keys=333)
        for threads in (1, 2, 3):
            _, report = attend(*arrays, threads=threads, return_report=True)
            self.assertLessEqual(report.threads, threads)
        self.assertEqual(attend(*arrays, threads=1, return_report=True)[1].threads, 1)

    def test_a_second_thread_takes_part(self):
        arrays = operands(heads=8, queries=1024, keys=1024, width=64)
        self.assertTrue(two_take_part(arrays))

    def test_several_callers_get_their_own_results(self):
        problems = [operands(queries=64 + index, keys=100 + index) for index in range(4)]
        wants = [attend(*problem, threads=1) for problem in problems]
        wrong = []

        def call_often(index):
            for _ in range(50):
                got = attend(*problems[index], threads=1 + index % 3)
                if not numpy.array_equal(got, wants[index]):
                    wrong.append(index)

        callers = [threading.Thread(target=call_often, args=(index,)) for index in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        self.assertEqual(wrong, [])

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "needs two processors")
    def test_a_helper_leaves_the_callers_processor(self):
        arrays = operands(heads=8, queries=64, keys=64, width=64)
        attend(*arrays, threads=2)
        allowed = os.sched_getaffinity(0)
        busy = min(allowed)
        with bound_to({busy}):
            for helper in helpers():
                os.sched_setaffinity(helper, {busy})
                os.sched_setaffinity(helper, allowed)
            deadline = time.monotonic() + 10
            while all(processor_of(helper) == busy for helper in helpers()):
                self.assertLess(time.monotonic(), deadline, "all stay with the caller")
                attend(*arrays, threads=2)
            for helper in helpers():
                self.assertEqual(os.sched_getaffinity(helper), allowed)

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "needs two processors")
    def test_the_default_is_what_the_caller_may_use_now(self):
        arrays = operands(heads=8, queries=512, keys=512, width=64)
        two = set(sorted(os.sched_getaffinity(0))[:2])

        def condition():
            with bound_to({min(two)}):
                if two_take_part(arrays, threads=None):
                    return False
            with bound_to(two):
                return two_take_part(arrays, threads=None)

        self.assertTrue(holds_in_a_child(condition))

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "needs two processors")
    def test_a_helper_may_run_where_its_caller_may(self):
        arrays = operands(heads=8, queries=512, keys=512, width=64)
        two = set(sorted(os.sched_getaffinity(0))[:2])

        def condition():
            with bound_to({min(two)}):
                attend(*arrays, threads=2)  # starts the helper
            with bound_to(two):
                took_part = two_take_part(arrays)
            return took_part and all(os.sched_getaffinity(helper) == two for helper in helpers())

        self.assertTrue(holds_in_a_child(condition))

    def test_the_interpreter_goes_on_meanwhile(self):
        arrays = operands(heads=16, queries=2048, keys=2048, width=64)
        turns_during, stop = 0, threading.Event()

        def turn():
            nonlocal turns_during
            while not stop.is_set():
                turns_during += 1
                time.sleep(0)

        turner = threading.Thread(target=turn)
        turner.start()
        try:
            turns_before = turns_during
            attend(*arrays, threads=1)
            self.assertGreater(turns_during, turns_before + 100)
        finally:
            stop.set()
            turner.join()

    def test_a_forked_child_computes_with_threads_of_its_own(self):
        arrays = operands(heads=8, queries=512, keys=512, width=64)
        want = attend(*arrays, threads=2)
        self.assertTrue(holds_in_a_child(
            lambda: numpy.array_equal(attend(*arrays, threads=2), want) and two_take_part(arrays)))

    def test_a_child_forked_while_others_compute_needs_none_of_their_locks(self):
        """All meet ever-new shapes, so that somebody makes a kernel during nearly every fork."""
        new = operands(queries=77, keys=77, width=24)
        stop = threading.Event()

        def call_often(first):
            for width in range(first, 4000, 3):
                if stop.is_set():
                    return
                rows = numpy.zeros((20, width), "float32")
                attend(rows, rows, rows, threads=1)

        callers = [threading.Thread(target=call_often, args=(first,)) for first in (1, 2, 3)]
        for caller in callers:
            caller.start()
        try:
            for _ in range(100):
                self.assertTrue(holds_in_a_child(lambda: attend(*new, threads=1) is not None))
                time.sleep(0.002)
        finally:
            stop.set()
            for caller in callers:
                caller.join()


if __name__ == "__main__":
    unittest.main()
