"""A server that cannot start as asked says why in one sentence and does not start otherwise."""

import contextlib
import json
import pathlib
import resource
import socket
import subprocess
import time
import unittest

import grpc
import numpy

import health_pb2
import health_pb2_grpc
from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from server_process import SERVER_BINARY, ServerProcess, clean_environment, free_address, get
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
                ("max-bytes-in-flight", "0"), ("max-layer-bytes", "0"),
                ("layers-directory", "no/such/directory"), ("implementation", "no-such-kernel"),
                ("default-precision", "f8"), ("warm-up", "some"), ("warm-up", "8x512"),
                ("warm-up", "99999x1x1"), ("warm-up-limit-ms", "0")):
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
                     "default-precision", "warm-up", "warm-up-limit-ms"):
            self.assertIn(f"--{flag}", finished.stdout)

    def test_help_and_version_that_are_lost_are_an_error(self):
        for flag in ("--help", "--version"):
            with self.subTest(flag), open("/dev/full", "wb") as full:
                finished = subprocess.run(
                    [SERVER_BINARY, flag], stdout=full, stderr=subprocess.PIPE, text=True,
                    timeout=60, check=False, env=clean_environment())
                self.assertEqual(finished.returncode, 1)
                self.assertEqual(
                    finished.stderr, "attention_server: standard output cannot be written\n")

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

    def test_it_may_open_as_many_files_as_the_system_allows(self):
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, soft[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, soft)
        with ServerProcess() as server:
            for line in pathlib.Path(f"/proc/{server.pid}/limits").read_text().splitlines():
                if line.startswith("Max open files"):
                    self.assertEqual(line.split()[3], line.split()[4])
                    self.assertEqual(line.split()[3], str(soft[1]))

    def test_every_line_of_the_log_is_json(self):
        with ServerProcess() as server:
            server.stub.GetServerInfo(service.GetServerInfoRequest(), timeout=10)
        for line in server.log_lines:
            self.assertIn("message", json.loads(line))


class WarmUpTest(unittest.TestCase):
    def log_of(self, **environment):
        with ServerProcess(environment=environment) as server:
            info = server.stub.GetServerInfo(service.GetServerInfoRequest(), timeout=10)
        lines = [json.loads(line) for line in server.log_lines]
        return info, {line["message"]: line for line in lines}

    def test_common_shapes_are_the_default_and_are_told(self):
        info, log = self.log_of(ATTENTION_WARM_UP="")
        if info.implementations[0] == "unfused-float64":
            self.skipTest("there is nothing to warm up here")
        line = log["warmed up"]
        self.assertGreater(line["tasks"], 0)
        self.assertLessEqual(line["tasks"], line["planned_tasks"])
        self.assertLess(line["elapsed_ms"], 10_000, "ten times the limit")
        self.assertNotIn("warming up met a fault", log)

    def test_none_is_none(self):
        _, log = self.log_of(ATTENTION_WARM_UP="none")
        self.assertNotIn("warmed up", log)

    def test_readiness_comes_after(self):
        if self.log_of()[0].implementations[0] == "unfused-float64":
            self.skipTest("there is nothing to warm up here")
        grpc_address, http_address = free_address(), free_address()
        process = subprocess.Popen(
            [SERVER_BINARY, f"--grpc-address={grpc_address}", f"--http-address={http_address}",
             "--warm-up=1x65536x64", "--warm-up-limit-ms=2500", "--drain-grace-ms=0"],
            stderr=subprocess.PIPE, text=True, env=clean_environment())
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        healths, pages = self.watch_until_ready(grpc_address, http_address)
        process.terminate()
        log = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 0, log)
        serving = 1
        self.assertEqual(healths, [serving], "gRPC listens once the server has warmed up")
        self.assertEqual(pages, [503, 200])
        messages = [json.loads(line)["message"] for line in log.splitlines()]
        self.assertLess(messages.index("warmed up"), messages.index("serving"), log)

    def watch_until_ready(self, grpc_address, http_address):
        """Returns what health and /readyz said, in order, without repetitions."""
        healths, pages = [], []

        def check():
            # A new connection each time: one that was refused is not tried again soon.
            options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
            with grpc.insecure_channel(grpc_address, options=options) as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                return stub.Check(health_pb2.HealthCheckRequest(), timeout=10).status

        end = time.monotonic() + 60
        while time.monotonic() < end and pages[-1:] != [200]:
            with contextlib.suppress(grpc.RpcError):
                healths.append(check())
            with contextlib.suppress(OSError):
                pages.append(get(http_address, "/readyz")[0])
            time.sleep(0.02)
        healths.append(check())
        return list(dict.fromkeys(healths)), list(dict.fromkeys(pages))


if __name__ == "__main__":
    unittest.main()
