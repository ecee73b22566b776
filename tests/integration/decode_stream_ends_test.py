"""How streams of DecodeAttention wait for room, and how they end."""

import random
import threading
import time
import unittest

import json

import grpc
import numpy

from attention.v1 import attention_service_pb2 as service
from decode_streams import METHOD, VALUE_WIDTH, Steps, Stream, StreamTestCase, step
from lifecycle_test import wait_until
from long_request import make_long_request
from raw_http2 import RawCall
from tensors import F64, to_tensor


class RoomTest(StreamTestCase):
    def fill_queue(self, server, seconds=20):
        """For --queue-capacity=1: a call that runs, and one that waits."""
        request = make_long_request(server, seconds)
        calls = [self.start(server, request), server.stub.SelfAttention.future(request)]
        self.assertTrue(wait_until(lambda: server.sample("attention_queue_depth") == 1))
        return calls

    def check_refused_for_now(self, stream):
        self.check_end(stream, grpc.StatusCode.RESOURCE_EXHAUSTED)
        trailer = dict(stream.call.trailing_metadata())
        pushback = int(trailer["grpc-retry-pushback-ms"])
        self.assertGreater(pushback, 0)
        return pushback

    def test_keys_and_values_without_room_end_their_stream_alone(self):
        with self.serve("--max-cache-bytes=100KiB") as server:
            other = Stream(server.stub)
            other.ask(step(1, 3))
            held = server.sample("attention_cache_bytes")
            for _ in range(3):
                greedy = Stream(server.stub)
                greedy.send(*[step(1, 100)] * 100)
                answers, code = greedy.rest()
                self.assertEqual(code, grpc.StatusCode.RESOURCE_EXHAUSTED)
                self.assertGreater(len(answers), 5)  # while growing it is there twice
                self.assertRegex(
                    greedy.call.details(),
                    r"^keys and values of the stream: got \d+ bytes, and \d+ of 102400 are free")
                self.assertTrue(wait_until(
                    lambda: server.sample("attention_cache_bytes") == held))
                first = Stream(server.stub)
                first.send(step(1, 1800))  # of 56 bytes: they would fit alone
                self.assertGreaterEqual(self.check_refused_for_now(first), 1000)
            never = Stream(server.stub)
            never.send(step(1, 1900))
            self.check_end(never, grpc.StatusCode.INVALID_ARGUMENT,
                           "got 106400 bytes, want <= 102400 (--max-cache-bytes)")
            self.assertEqual(server.sample("attention_rejected_total", reason="cache_full"), 6)
            other.ask(step())
            self.assertEqual(other.end(), ([], grpc.StatusCode.OK))
            self.check_idle(server)

    def test_while_the_queue_is_full_a_first_request_is_refused_and_a_later_one_waits(self):
        with self.serve("--queue-capacity=1") as server:
            steps = Steps()
            stream = Stream(server.stub)
            stream.ask(steps.next(1, 3)[0])
            running, waiting = self.fill_queue(server)
            request, whole = steps.next()
            stream.send(request)
            first = Stream(server.stub)
            first.send(step())
            self.check_refused_for_now(first)
            self.assertEqual(server.sample("attention_requests_in_flight"), 3)
            waiting.cancel()
            running.cancel()
            answer = next(stream.call)
            wanted = server.stub.ScaledDotProductAttention(whole, timeout=60)
            self.assertEqual(answer.output, wanted.output)
            self.assertEqual(stream.end(), ([], grpc.StatusCode.OK))
            self.check_idle(server)

    def test_later_requests_wait_without_bytes_in_flight_and_are_few(self):
        with self.serve("--queue-capacity=1", "--max-bytes-in-flight=128MiB",
                        "--max-request-bytes=16MiB") as server:
            large = step(1, 17_500)  # 1 MB
            few = (32 << 20) // large.ByteSize()  # of a quarter of all bytes
            streams = [Stream(server.stub) for _ in range(few + 3)]
            for stream in streams:
                stream.ask(step())
            calls = self.fill_queue(server)
            held = server.sample("attention_bytes_in_flight")
            for stream in streams:
                stream.send(large)
            ended = lambda: [stream for stream in streams if stream.call.done()]
            self.assertTrue(wait_until(lambda: len(ended()) == 3))
            for stream in ended():
                self.check_refused_for_now(stream)
                streams.remove(stream)
            self.assertTrue(wait_until(
                lambda: server.sample("attention_bytes_in_flight") == held))
            for call in calls:
                call.cancel()
            for stream in streams:
                self.assertEqual(list(next(stream.call).output.shape), [2, 1, VALUE_WIDTH])
                self.assertEqual(stream.end(), ([], grpc.StatusCode.OK))
            self.check_idle(server)

    def test_a_later_request_of_more_than_a_mebibyte_does_not_wait(self):
        with self.serve("--queue-capacity=1") as server:
            stream = Stream(server.stub)
            stream.ask(step())
            calls = self.fill_queue(server)
            stream.send(step(1, 20_000))  # 1.1 MB
            self.check_refused_for_now(stream)
            for call in calls:
                call.cancel()
            self.check_idle(server)

    def test_what_waits_for_room_ends_with_its_deadline_or_with_the_server(self):
        with self.serve("--queue-capacity=1") as server:
            late, draining = Stream(server.stub, timeout=2), Stream(server.stub)
            for stream in (late, draining):
                stream.ask(step())
            calls = self.fill_queue(server)
            late.send(step())
            self.check_end(late, grpc.StatusCode.DEADLINE_EXCEEDED)
            self.assertTrue(wait_until(lambda: server.sample("attention_streams") == 1))
            draining.send(step())
            self.assertTrue(wait_until(
                lambda: server.sample("attention_requests_in_flight") == 3))
            server.signal()
            self.check_end(draining, grpc.StatusCode.UNAVAILABLE, "draining")
            for call in calls:
                call.cancel()
            self.assertEqual(server.wait(), 0)

    def hold_bytes(self, server):
        """An answer of 18 MB that nobody takes: more than any window of a stream holds."""
        rows = 2120
        request = service.SelfAttentionRequest(
            embeddings={"shape": [rows, 1], "raw": bytes(4 * rows)})
        request.options.return_weights = True
        call = server.channel.unary_stream(METHOD.replace("Decode", "Self"))(
            request.SerializeToString())
        self.assertTrue(wait_until(lambda: server.sample(
            "attention_requests_total", code="ok", method="SelfAttention") == 1))
        return call

    def test_while_the_bytes_are_taken_a_first_request_is_refused_and_a_later_one_waits(self):
        with self.serve("--max-bytes-in-flight=19MiB", "--max-request-bytes=2MiB") as server:
            keys = numpy.ones((1, 15_000, 8))  # 0.5 MB as floats, twice that as float64
            one = to_tensor(keys[:, :1], F64)
            large = to_tensor(keys, F64, form="floats")
            large = service.ScaledDotProductAttentionRequest(query=one, key=large, value=large)
            stream = Stream(server.stub)
            stream.ask(service.ScaledDotProductAttentionRequest(query=one, key=one, value=one))
            untaken = self.hold_bytes(server)
            held = server.sample("attention_bytes_in_flight")
            stream.send(large)
            first = Stream(server.stub)
            first.send(large)
            self.check_refused_for_now(first)
            self.assertTrue(wait_until(
                lambda: server.sample("attention_bytes_in_flight") == held), "it takes room")
            untaken.cancel()
            self.assertEqual(list(next(stream.call).output.shape), [1, 1, 8])
            self.assertEqual(stream.end(), ([], grpc.StatusCode.OK))
            self.check_idle(server)


class EndsTest(StreamTestCase):
    SECONDS = 20

    def long_step(self, server, seconds=SECONDS):
        """One that computes for so long."""
        rows = make_long_request(server, seconds).embeddings
        rows.shape[:] = [1, *rows.shape]
        return service.ScaledDotProductAttentionRequest(query=rows, key=rows, value=rows)

    def short_of(self, request):
        """One like it with a single row."""
        row = {"data_type": F64, "shape": [1, 1, 64], "raw": request.query.raw[:8 * 64]}
        return service.ScaledDotProductAttentionRequest(query=row, key=row, value=row)

    def begin(self, server, request, stub=None):
        """A stream that has one answer and computes the next."""
        stream = Stream(stub or server.stub)
        stream.ask(self.short_of(request))
        dequeued = server.sample("attention_queue_wait_seconds_count")
        stream.send(request)
        self.assertTrue(wait_until(
            lambda: server.sample("attention_queue_wait_seconds_count") > dequeued))
        return stream

    def logged_ends(self, server):
        ends = [json.loads(line) for line in server.log_lines if '"stream ended"' in line]
        return {(line["reason"], line["answers"]) for line in ends}

    def check_stopped(self, server, count=1):
        self.check_idle(server)
        self.assertEqual(server.sample("attention_stopped_total"), count)
        self.check_alive(server)

    def test_a_stream_without_requests_for_long_is_ended(self):
        with self.serve("--max-stream-idle-seconds=1") as server:
            new, answered = Stream(server.stub), Stream(server.stub)
            answered.ask(step())
            for stream in (new, answered):
                self.check_end(stream, grpc.StatusCode.CANCELLED)
            self.check_idle(server)
            self.assertTrue(wait_until(
                lambda: self.logged_ends(server) == {("idle", 0), ("idle", 1)}))
            busy = self.begin(server, self.long_step(server, 3))
            self.assertEqual(len(next(busy.call).output.shape), 3)
            busy.end()

    def test_a_cancellation_stops_the_work_and_frees_what_the_stream_keeps(self):
        with self.serve() as server:
            stream = self.begin(server, self.long_step(server))
            self.assertGreater(server.sample("attention_cache_bytes"), 0)
            stream.call.cancel()
            self.check_stopped(server)

    def test_a_cancellation_ends_what_waits_for_a_thread_or_for_room(self):
        with self.serve("--queue-capacity=1") as server:
            streams = [Stream(server.stub) for _ in range(3)]
            for stream in streams:
                stream.ask(step())
            blocker = self.start(server, make_long_request(server, self.SECONDS))
            for stream in streams:
                stream.send(step(), step())
            self.assertTrue(wait_until(
                lambda: server.sample("attention_requests_in_flight") == 4))
            for stream in streams:
                stream.call.cancel()
            # The one in the queue stays until a thread has looked at it.
            self.assertTrue(wait_until(
                lambda: server.sample("attention_requests_in_flight") <= 2))
            blocker.cancel()
            self.check_stopped(server, 4)

    def test_a_deadline_of_the_caller_stops_the_work(self):
        with self.serve() as server:
            request = self.long_step(server)
            stream = Stream(server.stub, timeout=0.5)
            stream.send(request)
            self.check_end(stream, grpc.StatusCode.DEADLINE_EXCEEDED)
            self.check_stopped(server)

    def test_the_longest_time_is_each_requests(self):
        with self.serve("--max-deadline-seconds=1") as server:
            request = self.long_step(server)
            stream = Stream(server.stub)
            self.assertFalse(wait_until(lambda: not stream.ask(self.short_of(request)), 2))
            stream.send(request)
            self.check_end(stream, grpc.StatusCode.DEADLINE_EXCEEDED, "--max-deadline-seconds")
            self.check_stopped(server)

    def test_a_caller_that_vanishes_is_a_cancellation(self):
        with self.serve() as server:
            channel = server.open_channel()
            stub = type(server.stub)(channel)
            self.begin(server, self.long_step(server), stub)
            idle = Stream(stub)
            idle.ask(step())
            channel.close()
            self.check_stopped(server)

    def test_a_message_cut_off_by_its_caller_is_never_answered(self):
        with self.serve() as server:
            message = step().SerializeToString()
            for end in (RawCall.close, RawCall.cancel, RawCall.end_request):
                call = RawCall(server.grpc_address, "DecodeAttention")
                self.addCleanup(call.close)
                call.send_part(message, len(message) + 5)
                self.assertTrue(wait_until(lambda: server.sample("attention_cache_bytes") > 0))
                call.send_part(message, len(message) // 2)
                end(call)
                self.check_idle(server)
            self.assertEqual(server.sample("attention_requests_total"), 3)

    def test_an_answer_that_is_not_taken_is_given_up(self):
        with self.serve("--max-deadline-seconds=2") as server:
            stream = Stream(server.stub)
            stream.ask(step())
            request = step(1500, 1500, heads=1)
            request.options.return_weights = True
            stream.send(request)
            self.assertTrue(wait_until(lambda: server.sample("attention_bytes_in_flight") > 9e6))
            self.check_idle(server)
            self.assertEqual(stream.rest()[1], grpc.StatusCode.CANCELLED)

    def test_a_drain_ends_idle_streams_at_once_and_others_when_they_have_answered(self):
        with self.serve() as server:
            idle = [Stream(server.stub) for _ in range(20)]
            for stream in idle[1:]:
                stream.ask(step())
            working = self.begin(server, self.long_step(server, 3))
            working.send(step())
            server.signal()
            for stream in idle:
                self.check_end(stream, grpc.StatusCode.UNAVAILABLE, "draining")
            self.assertFalse(working.call.done())
            self.assertEqual(len(next(working.call).output.shape), 3)
            self.check_end(working, grpc.StatusCode.UNAVAILABLE, "draining")
            begin = time.monotonic()
            self.assertEqual(server.wait(), 0)
            self.assertLess(time.monotonic() - begin, 5)

    def test_a_storm_of_streams_leaves_nothing(self):
        def caller(seed):
            choice = random.Random(seed)
            for _ in range(12):
                stream = Stream(server.stub, choice.choice((60, 60, 0.05)))
                stream.send(*[step(1, choice.randrange(80))] * choice.randrange(8))
                time.sleep(choice.random() * 0.02)
                if choice.random() < 0.5:
                    stream.call.cancel()
                stream.end()

        with self.serve("--queue-capacity=4", "--max-cache-bytes=200KiB") as server:
            threads = [threading.Thread(target=caller, args=(seed,)) for seed in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.check_idle(server)
            samples = server.samples()
            total = lambda name: sum(
                number for (each, _), number in samples.items() if each == name)
            self.assertEqual(total("attention_request_bytes_count"),
                             total("attention_requests_total"))
            self.assertGreater(total("attention_requests_total"), 100)
            self.check_alive(server)
            server.signal()
            self.assertEqual(server.wait(), 0)


if __name__ == "__main__":
    unittest.main()
