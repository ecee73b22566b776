"""Deadlines, cancellation, overload and drain, as callers and platforms see them."""

import contextlib
import os
import resource
import signal
import socket
import statistics
import threading
import time
import unittest

import grpc
import numpy

import health_pb2
import health_pb2_grpc
from attention.v1 import attention_service_pb2 as service
from long_request import make_long_request
from server_process import ServerProcess
from tensors import to_tensor

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SMALL = service.SelfAttentionRequest(embeddings=to_tensor([[1, 0], [0, 1]]))


def wait_until(condition, seconds=20):
    """Polls until `condition()` holds; returns whether it came to hold in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def endless(stack):
    """Requests of a stream that sends nothing until the stack is left."""
    end = threading.Event()
    stack.callback(end.set)
    end.wait()
    yield from ()


class LifecycleTestCase(unittest.TestCase):
    @contextlib.contextmanager
    def serve(self, *flags):
        # The more a machine computes in a second, the more a long request must be allowed.
        limits = "--max-request-float64-flops=1e13"
        with ServerProcess("--compute-threads=1", limits, *flags) as server:
            yield server

    def start(self, server, request, **how):
        """Sends the request and returns the call once it is being computed."""
        dequeued = server.sample("attention_queue_wait_seconds_count")
        call = server.stub.SelfAttention.future(request, **how)
        running = lambda: server.sample("attention_queue_wait_seconds_count") > dequeued
        self.assertTrue(wait_until(running), "the call does not start")
        return call

    def check_idle(self, server):
        """Nothing is left of what was stopped."""
        idle = lambda: server.sample("attention_requests_in_flight") == 0
        self.assertTrue(wait_until(idle), "a request is still counted as in flight")
        empty = lambda: server.sample("attention_bytes_in_flight") == 0
        self.assertTrue(wait_until(empty), "bytes are still counted as in flight")
        self.assertEqual(server.sample("attention_queue_depth"), 0)


class SilenceTest(LifecycleTestCase):
    def test_a_call_after_a_second_without_any_is_answered_at_once(self):
        seconds = []
        with self.serve() as server:
            for silence in (1.01, 1.03, 1.05) * 2:
                server.stub.SelfAttention(SMALL, timeout=60)
                time.sleep(silence)
                begin = time.monotonic()
                server.stub.SelfAttention(SMALL, timeout=60)
                seconds.append(time.monotonic() - begin)
        self.assertLess(statistics.median(seconds), 0.02, seconds)


class StoppedCallsTest(LifecycleTestCase):
    SECONDS = 20

    def check_thread_is_free(self, server):
        begin = time.monotonic()
        server.stub.SelfAttention(SMALL, timeout=60)
        self.assertLess(time.monotonic() - begin, self.SECONDS / 4, "the work went on")
        self.check_idle(server)

    def test_a_deadline_stops_the_work(self):
        with self.serve() as server:
            request = make_long_request(server, self.SECONDS)
            with self.assertRaises(grpc.RpcError) as caught:
                server.stub.SelfAttention(request, timeout=0.05)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
            self.check_thread_is_free(server)
            # Counted as either: the caller's library also cancels what has passed its deadline.
            self.assertEqual(server.sample("attention_stopped_total"), 1)

    def test_a_cancellation_stops_the_work(self):
        with self.serve() as server:
            call = self.start(server, make_long_request(server, self.SECONDS))
            call.cancel()
            self.check_thread_is_free(server)
            self.assertEqual(server.sample("attention_stopped_total", code="cancelled"), 1)

    def test_a_call_that_waits_can_be_cancelled(self):
        with self.serve() as server:
            request = make_long_request(server, self.SECONDS)
            running = self.start(server, request)
            waiting = server.stub.SelfAttention.future(request)
            self.assertTrue(wait_until(lambda: server.sample("attention_queue_depth") == 1))
            waiting.cancel()
            running.cancel()
            self.check_thread_is_free(server)
            self.assertEqual(server.sample("attention_stopped_total", code="cancelled"), 2)

    def test_a_caller_that_vanishes_is_a_cancellation(self):
        with self.serve() as server:
            channel = server.open_channel()
            method = channel.unary_unary("/attention.v1.AttentionService/SelfAttention")
            call = method.future(make_long_request(server, self.SECONDS).SerializeToString())
            self.assertTrue(wait_until(lambda: server.sample("attention_requests_in_flight") == 1))
            channel.close()
            self.assertEqual(call.code(), grpc.StatusCode.CANCELLED)
            self.check_thread_is_free(server)


class OverloadTest(LifecycleTestCase):
    def check_pushback(self, error):
        self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED, error.details())
        trailer = dict(error.trailing_metadata())
        self.assertGreater(int(trailer["grpc-retry-pushback-ms"]), 0)

    def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(self):
        with self.serve("--queue-capacity=1") as server:
            request = make_long_request(server, 20)
            calls = [self.start(server, request)]
            calls.append(server.stub.SelfAttention.future(request))
            self.assertTrue(wait_until(lambda: server.sample("attention_queue_depth") == 1))
            for _ in range(10):
                begin = time.monotonic()
                with self.assertRaises(grpc.RpcError) as caught:
                    server.stub.SelfAttention(SMALL, timeout=60)
                self.check_pushback(caught.exception)
                self.assertLess(time.monotonic() - begin, 2)
            self.assertEqual(
                server.sample("attention_rejected_total", reason="queue_full"), 10)
            for call in calls:
                call.cancel()
            self.check_idle(server)
            server.stub.SelfAttention(SMALL, timeout=60)

    def test_a_full_byte_budget_refuses_and_nothing_leaks(self):
        with self.serve("--max-bytes-in-flight=8MiB", "--max-request-bytes=4MiB",
                        "--grpc-memory-bytes=1GiB") as server:
            rows = 700_000  # 2.8 MB in, as much out, more to compute it
            request = service.CrossAttentionRequest(
                query_embeddings={"shape": [rows, 1], "raw": bytes(4 * rows)},
                memory_embeddings=to_tensor([[1.0]]))
            outcomes = []

            def call():
                try:
                    server.stub.CrossAttention(request, timeout=60)
                except grpc.RpcError as error:
                    outcomes.append(error)

            for _ in range(5):
                threads = [threading.Thread(target=call) for _ in range(8)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            self.assertTrue(outcomes, "8 calls at once fit a budget that holds less than two")
            for error in outcomes:
                self.check_pushback(error)
            self.check_idle(server)
            server.stub.CrossAttention(request, timeout=60)
            self.check_idle(server)


    def test_requests_that_nobody_waits_for_keep_nobody_out(self):
        with self.serve("--queue-capacity=2") as server:
            long_one = self.start(server, make_long_request(server, 20))
            for _ in range(3):
                dead = [server.stub.SelfAttention.future(SMALL, timeout=0.2) for _ in range(2)]
                for call in dead:
                    self.assertEqual(call.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
                time.sleep(0.2)  # the server has their deadlines a little later
            alive = server.stub.SelfAttention.future(SMALL, timeout=60)
            long_one.cancel()
            self.assertGreater(len(alive.result().output.raw), 0)
            self.check_idle(server)

    def test_an_answer_that_is_not_taken_is_given_up(self):
        with self.serve("--max-deadline-seconds=2") as server:
            rows = 1500
            request = service.SelfAttentionRequest(
                embeddings={"shape": [rows, 1], "raw": bytes(4 * rows)})
            request.options.return_weights = True  # 9 MB, which no window of a stream holds
            # As a stream the client takes no answer before it is asked for one.
            call = server.channel.unary_stream("/attention.v1.AttentionService/SelfAttention")(
                request.SerializeToString())
            held = lambda: server.sample("attention_bytes_in_flight")
            computed = lambda: server.sample(
                "attention_requests_total", code="ok", method="SelfAttention") == 1
            self.assertTrue(wait_until(computed))
            self.assertGreater(held(), 4 * rows * rows - 1)
            self.assertTrue(wait_until(lambda: held() == 0), "the answer is still held")
            call.cancel()


class ThreadsTest(LifecycleTestCase):
    def test_streams_of_reflection_take_few_threads(self):
        with self.serve() as server:
            threads = lambda: len(os.listdir(f"/proc/{server.pid}/task"))
            server.stub.SelfAttention(SMALL, timeout=60)
            before = threads()
            with contextlib.ExitStack() as stack:
                calls = []
                for _ in range(3):
                    channel = stack.enter_context(server.open_channel())
                    method = channel.stream_stream(
                        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
                    calls += [method(endless(stack)) for _ in range(80)]
                refused = lambda: sum(
                    call.done() and call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
                    for call in calls)
                self.assertTrue(wait_until(lambda: refused() > 200), refused())
                self.assertLess(threads() - before, 20)
                server.stub.SelfAttention(SMALL, timeout=60)
                server.signal()
                self.assertEqual(server.wait(60), 0)


class ConnectionsTest(LifecycleTestCase):
    @unittest.skipIf(os.environ.get("TEST_SANITIZERS"), "sanitizers need files of their own")
    def test_a_server_that_takes_no_connections_any_more_is_not_alive(self):
        for environment in ({}, {"GRPC_VERBOSITY": "NONE"}):
            with self.subTest(environment), ServerProcess(environment=environment) as server:
                health = health_pb2_grpc.HealthStub(server.channel)
                check = lambda name: health.Check(
                    health_pb2.HealthCheckRequest(service=name), timeout=10).status
                self.assertEqual(check("liveness"), SERVING)
                open_files = len(os.listdir(f"/proc/{server.pid}/fd"))
                resource.prlimit(server.pid, resource.RLIMIT_NOFILE, 2 * (open_files + 20,))
                host, port = server.grpc_address.rsplit(":", 1)
                with contextlib.ExitStack() as stack:
                    for _ in range(60):
                        stack.enter_context(socket.create_connection((host, int(port))))
                    # Without free descriptors HTTP takes no connections for now, either.
                    time.sleep(0.5)
                self.assertTrue(wait_until(lambda: server.get("/livez")[0] == 503))
                self.assertEqual(server.get("/readyz")[0], 503)
                for name in ("", "liveness", "readiness", "attention.v1.AttentionService"):
                    self.assertEqual(check(name), NOT_SERVING)
                server.stub.SelfAttention(SMALL, timeout=60)
                server.signal()
                self.assertEqual(server.wait(60), 0)


class DrainTest(LifecycleTestCase):
    def test_an_idle_server_ends_at_once_with_success(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number), self.serve() as server:
                server.signal(number)
                self.assertEqual(server.wait(30), 0)

    def test_a_server_that_has_just_answered_at_length_ends_as_fast(self):
        tensor = to_tensor(numpy.zeros((8, 6000, 64)))
        request = service.ScaledDotProductAttentionRequest(
            query=tensor, key=to_tensor(numpy.zeros((8, 10, 64))),
            value=to_tensor(numpy.zeros((8, 10, 64))))
        for _ in range(4):
            with self.serve() as server:
                server.stub.ScaledDotProductAttention(request, timeout=60)
                begin = time.monotonic()
                server.signal()
                self.assertEqual(server.wait(), 0)
                self.assertLess(time.monotonic() - begin, 5)

    def test_a_running_call_is_finished_and_everybody_is_told(self):
        with self.serve("--drain-grace-ms=2000") as server:
            request = make_long_request(server, 4)
            health = health_pb2_grpc.HealthStub(server.channel)
            watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=60)
            self.assertEqual(next(watch).status, SERVING)
            self.assertEqual(server.get("/readyz")[0], 200)
            running = self.start(server, request, timeout=120)

            server.signal()
            self.assertEqual(next(watch).status, NOT_SERVING)
            for name in ("", "attention.v1.AttentionService"):
                check = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
                self.assertEqual(check.status, NOT_SERVING)
            self.assertEqual(server.get("/readyz")[0], 503)
            self.assertEqual(server.get("/livez")[0], 200)
            answer = running.result(120)
            self.assertEqual(list(answer.output.shape), list(request.embeddings.shape))
            self.assertEqual(server.wait(60), 0)

    def test_a_second_signal_ends_the_wait(self):
        with self.serve() as server:
            call = self.start(server, make_long_request(server, 60))
            server.signal()
            self.assertTrue(wait_until(lambda: server.get("/readyz")[0] == 503))
            begin = time.monotonic()
            server.signal()
            server.wait(30)
            self.assertLess(time.monotonic() - begin, 10)
            with self.assertRaises(grpc.RpcError) as caught:
                call.result(10)
            self.assertIn(caught.exception.code(),
                          (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED))


if __name__ == "__main__":
    unittest.main()
