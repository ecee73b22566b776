"""A server that cannot start as asked says why in one sentence and does not start otherwise."""

import json
import socket
import subprocess
import unittest

import grpc
import numpy

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from server_process import SERVER_BINARY, ServerProcess, clean_environment
from tensors import BF16, F32, F64, to_tensor

LOOPBACK = ("--grpc-address=127.0.0.1:0", "--http-address=127.0.0.1:0")


def run(*flags, **environment):
    """Runs the server to its end, which must come by itself."""
    return subprocess.run(
        [SERVER_BINARY, *flags], capture_output=True, text=True, timeout=60, check=False,
        env=clean_environment(**environment))


class RefusedStartTest(unittest.TestCase):
    def check_refused(self, finished, word):
        self.assertNotEqual(finished.returncode, 0)
        self.assertGreater(finished.returncode, 0, "ended by a signal")
        complaint = finished.stderr.strip()
        self.assertIn(word, complaint)
        self.assertEqual(len(complaint.splitlines()), 1, complaint)

    def test_bad_values_of_flags(self):
        for flag, value in (
                ("grpc-address", "nowhere"), ("grpc-address", "127.0.0.1:99999"),
                ("http-address", "127.0.0.1"), ("compute-threads", "-1"),
                ("compute-threads", "many"), ("queue-capacity", "0"), ("queue-capacity", "1.5"),
                ("max-request-bytes", "-5"), ("max-request-bytes", "9999999999999999999999"),
                ("max-request-flops", "nan"), ("max-response-bytes", "lots"),
                ("max-bytes-in-flight", "0"), ("implementation", "no-such-kernel"),
                ("default-precision", "f8")):
            with self.subTest(flag=flag, value=value):
                self.check_refused(run(*LOOPBACK, f"--{flag}={value}"), flag)
                name = "ATTENTION_" + flag.upper().replace("-", "_")
                others = [each for each in LOOPBACK if not each.startswith(f"--{flag}=")]
                finished = run(*others, **{name: value})
                self.assertRegex(finished.stderr, f"{name}|--{flag}|{flag}")
                self.check_refused(finished, "")

    def test_an_unknown_flag(self):
        self.check_refused(run(*LOOPBACK, "--no-such-flag=1"), "no-such-flag")

    def test_an_unknown_implementation_is_answered_with_the_known_ones(self):
        finished = run(*LOOPBACK, "--implementation=fused-abacus")
        self.check_refused(finished, "fused-abacus")
        self.assertIn("unfused-float64", finished.stderr)

    def test_a_taken_port(self):
        for flag in ("grpc-address", "http-address"):
            with self.subTest(flag), socket.create_server(("127.0.0.1", 0)) as taken:
                address = f"127.0.0.1:{taken.getsockname()[1]}"
                others = [each for each in LOOPBACK if not each.startswith(f"--{flag}=")]
                self.check_refused(run(*others, f"--{flag}={address}"), address)

    def test_two_servers_cannot_share_a_port(self):
        with ServerProcess() as first:
            self.check_refused(
                run(f"--grpc-address={first.grpc_address}", "--http-address=127.0.0.1:0"),
                first.grpc_address)


class StartTest(unittest.TestCase):
    def test_help_names_every_flag_and_how_variables_are_named_and_starts_nothing(self):
        finished = run("--help")
        self.assertEqual(finished.returncode, 0)
        self.assertIn("ATTENTION_GRPC_ADDRESS", finished.stdout)
        for flag in ("grpc-address", "http-address", "implementation", "compute-threads",
                     "queue-capacity", "max-request-bytes", "max-response-bytes",
                     "max-request-flops", "max-request-float64-flops", "max-bytes-in-flight",
                     "default-precision"):
            self.assertIn(f"--{flag}", finished.stdout)

    def test_flags_and_their_variables_take_effect(self):
        for flags, environment in (
                (("--max-request-bytes=1000000", "--queue-capacity=7"), {}),
                ((), {"ATTENTION_MAX_REQUEST_BYTES": "1000000", "ATTENTION_QUEUE_CAPACITY": "7"}),
                (("--queue-capacity=7",),
                 {"ATTENTION_MAX_REQUEST_BYTES": "1000000", "ATTENTION_QUEUE_CAPACITY": "9"})):
            with self.subTest(flags=flags), \
                    ServerProcess(*flags, environment=environment) as server:
                info = server.stub.GetServerInfo(service.GetServerInfoRequest(), timeout=10)
                self.assertEqual(info.max_request_bytes, 1_000_000)
                self.assertEqual(info.queue_capacity, 7)

    def test_a_request_over_the_limit_is_refused_by_name(self):
        with ServerProcess("--max-request-bytes=1000000") as server:
            for size in (1_000_001, 2_000_000):
                with self.subTest(size), self.assertRaises(grpc.RpcError) as caught:
                    server.call("SelfAttention", bytes(size))
                self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
                self.assertIn("--max-request-bytes", caught.exception.details())

    def test_a_request_far_over_the_limit_is_refused_by_grpc_and_for_good(self):
        with ServerProcess("--max-request-bytes=1000000") as server:
            for size in (3_000_000, 200_000_000):
                with self.subTest(size), self.assertRaises(grpc.RpcError) as caught:
                    server.call("SelfAttention", bytes(size))
                self.assertEqual(caught.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
                trailer = dict(caught.exception.trailing_metadata() or ())
                self.assertNotIn("grpc-retry-pushback-ms", trailer)

    def test_a_forced_implementation_is_the_one_that_runs(self):
        with ServerProcess() as server:
            info = server.stub.GetServerInfo(service.GetServerInfoRequest(), timeout=10)
        for name in info.implementations:
            with self.subTest(name), ServerProcess(f"--implementation={name}") as server:
                for data_type in (0, BF16, F64):
                    words = to_tensor(numpy.eye(4), data_type or 1)
                    answer = server.stub.SelfAttention(
                        service.SelfAttentionRequest(embeddings=words), timeout=60)
                    want = "unfused-float64" if data_type == F64 else name
                    self.assertEqual(answer.execution.implementation, want)

    def test_the_default_precision_is_told_and_leaves_other_types_alone(self):
        with ServerProcess("--default-precision=bf16_x6") as server:
            info = server.stub.GetServerInfo(service.GetServerInfoRequest(), timeout=10)
            self.assertEqual(info.default_precision, options_pb2.PRECISION_BF16_X6)
            for data_type, permitted in (
                    (F32, {"bf16_x6", "f32", "f64"}), (BF16, {"bf16", "f32", "f64"}),
                    (F64, {"f64"})):
                answer = server.stub.SelfAttention(
                    service.SelfAttentionRequest(embeddings=to_tensor(numpy.eye(64), data_type)),
                    timeout=60)
                self.assertIn(answer.execution.precision, permitted)

    def test_every_line_of_the_log_is_json(self):
        with ServerProcess() as server:
            server.stub.GetServerInfo(service.GetServerInfoRequest(), timeout=10)
        for line in server.log_lines:
            self.assertIn("message", json.loads(line))


if __name__ == "__main__":
    unittest.main()
