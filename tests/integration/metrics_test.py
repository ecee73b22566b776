"""/metrics, /livez and /readyz tell the truth, before, after and under hostile calls."""

import shutil
import subprocess
import time
import unittest

import grpc

import malformed_bytes
import malformed_values
from attention.v1 import attention_service_pb2 as service
from raw_http2 import RawCall
from request_changes import valid_requests
from server_process import ServerProcess
from tensors import to_tensor

METHODS = set(valid_requests())
CODES = {
    "ok", "cancelled", "invalid_argument", "deadline_exceeded", "not_found", "already_exists",
    "resource_exhausted", "unimplemented", "unavailable", "internal",
}
REASONS = {
    "malformed", "invalid", "unknown_field", "over_limit", "bytes_in_flight", "queue_full",
    "cache_full", "draining",
}
# Labels and all values that they may ever have; `le` is a histogram's bucket.
LABELS = {
    "method": METHODS | {"DecodeAttention"}, "code": CODES, "reason": REASONS,
    "role": {"query", "key"}, "le": None,
    "precision": {"f32", "bf16_x6", "bf16_x3", "bf16", "f64"},
    "result": {"loaded", "refused"},
    "version": None, "implementation": None, "instruction_set": None, "grpc_version": None,
}


class MetricsTest(unittest.TestCase):
    def setUp(self):
        self.server = ServerProcess()
        self.addCleanup(self.server.end_well)
        self.before = self.server.samples()

    def growth(self, name, **labels):
        """How much the sum of these samples has grown since the start."""
        def total(samples):
            return sum(number for (each, its), number in samples.items()
                       if each == name and set(labels.items()) <= set(its))
        return total(self.server.samples()) - total(self.before)

    def refuse(self, method, payload):
        with self.assertRaises(grpc.RpcError):
            self.server.call(method, payload)

    def test_answered_calls_are_counted_by_method(self):
        for method, request in valid_requests().items():
            with self.subTest(method):
                response = getattr(self.server.stub, method)(request, timeout=60)
                self.assertEqual(
                    self.growth("attention_requests_total", method=method, code="ok"), 1)
                for name in ("attention_request_seconds", "attention_compute_seconds"):
                    self.assertEqual(self.growth(f"{name}_count", method=method), 1)
                self.assertAlmostEqual(
                    self.growth("attention_compute_seconds_sum", method=method),
                    response.execution.compute_ns * 1e-9, delta=1e-6)
        self.assertEqual(self.growth("attention_requests_total"), len(METHODS))
        self.assertEqual(self.growth("attention_queue_wait_seconds_count"), len(METHODS))

    def test_every_answer_names_its_request(self):
        stub = self.server.stub
        for method, request in (
                *valid_requests().items(), ("SelfAttention", service.SelfAttentionRequest()),
                ("GetServerInfo", service.GetServerInfoRequest()),
                ("ListLayers", service.ListLayersRequest()),
                ("GetLayer", service.GetLayerRequest(name="absent"))):
            with self.subTest(method):
                call = getattr(stub, method).future(request, timeout=60)
                self.assertRegex(dict(call.initial_metadata())["x-request-id"], "^[0-9a-f]{16}$")

    def test_sizes_work_and_lengths_are_those_of_the_call(self):
        request = service.CrossAttentionRequest(
            query_embeddings=to_tensor([[1.0] * 8] * 3),
            memory_embeddings=to_tensor([[1.0] * 8] * 5))
        response = self.server.stub.CrossAttention(request, timeout=60)
        self.assertEqual(self.growth("attention_request_bytes_sum"), request.ByteSize())
        self.assertEqual(self.growth("attention_response_bytes_sum"), response.ByteSize())
        self.assertEqual(self.growth("attention_flops_total"), 2 * 3 * 5 * (8 + 8))
        self.assertEqual(self.growth("attention_sequence_length_sum", role="query"), 3)
        self.assertEqual(self.growth("attention_sequence_length_sum", role="key"), 5)

    def test_computations_are_counted_by_what_ran(self):
        for method, request in valid_requests().items():
            ran = getattr(self.server.stub, method)(request, timeout=60).execution
            labels = {"implementation": ran.implementation, "precision": ran.precision}
            counted = self.growth("attention_computations_total", **labels)
            getattr(self.server.stub, method)(request, timeout=60)
            self.assertEqual(self.growth("attention_computations_total", **labels), counted + 1)
        self.refuse("SelfAttention", b"")
        self.assertEqual(self.growth("attention_computations_total"), 2 * len(METHODS))

    def test_refused_calls_are_counted_by_reason_and_code(self):
        huge = service.SelfAttentionRequest(embeddings=to_tensor([[1.0] * 1] * 10000))
        huge.options.return_weights = True
        for reason, code, payload in (
                ("malformed", "invalid_argument", b"\xff"),
                ("invalid", "invalid_argument", b""),
                ("unknown_field", "unimplemented", b"\xa2\x06\x00"),
                ("over_limit", "invalid_argument", huge.SerializeToString())):
            with self.subTest(reason):
                counted = self.growth("attention_requests_total", code=code)
                self.refuse("SelfAttention", payload)
                self.assertEqual(self.growth("attention_rejected_total", reason=reason), 1)
                self.assertEqual(
                    self.growth("attention_requests_total", code=code), counted + 1)
        self.assertEqual(self.growth("attention_flops_total"), 0)

    def test_who_goes_while_sending_has_gone_and_sent_nothing_malformed(self):
        request = valid_requests()["SelfAttention"].SerializeToString()
        for end, code in ((RawCall.close, "cancelled"), (RawCall.cancel, "cancelled"),
                          (RawCall.end_request, "invalid_argument")):
            with self.subTest(end.__name__):
                counted = self.growth("attention_requests_total", code=code)
                call = RawCall(self.server.grpc_address, "SelfAttention")
                self.addCleanup(call.close)
                call.send_part(request, len(request) // 2)
                end(call)
                deadline = time.monotonic() + 20
                while self.growth("attention_requests_total", code=code) == counted:
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.01)
        self.assertEqual(self.growth("attention_requests_total"), 3)
        self.assertEqual(self.growth("attention_stopped_total", code="cancelled"), 2)
        self.assertEqual(self.growth("attention_rejected_total"), 1)

    def test_gauges_return_to_rest(self):
        for method, request in valid_requests().items():
            getattr(self.server.stub, method)(request, timeout=60)
        for name in ("requests_in_flight", "queue_depth", "bytes_in_flight"):
            self.assertEqual(self.server.sample(f"attention_{name}"), 0, name)

    def test_the_process_and_the_build_are_described(self):
        info = self.server.stub.GetServerInfo(service.GetServerInfoRequest(), timeout=10)
        self.assertEqual(
            self.server.sample("attention_build_info", version=info.version,
                               implementation=info.implementations[0],
                               instruction_set=info.instruction_set), 1)
        self.assertEqual(self.server.sample("attention_compute_threads"), info.compute_thread_count)
        resident = self.server.sample("process_resident_memory_bytes")
        self.assertAlmostEqual(resident, self.server.resident_bytes(), delta=32 << 20)

    def test_hostile_calls_make_no_new_series(self):
        for case in (*malformed_bytes.cases(), *malformed_values.cases()):
            self.refuse(case.method, case.payload)
        for method in ("/attention.v1.AttentionService/Nothing", "/" + "x" * 1000, "/a\"b/c"):
            with self.assertRaises(grpc.RpcError):
                self.server.channel.unary_unary(method)(
                    b"", timeout=10, metadata=(("user-agent", "odd"), ("x-odd", "1")))
        after = self.server.samples()
        self.assertEqual(set(after), set(self.before))
        for _, labels in after:
            for label, value in labels:
                self.assertIn(label, LABELS)
                if LABELS[label] is not None:
                    self.assertIn(value, LABELS[label])

    def test_histograms_of_time_begin_at_ten_microseconds(self):
        for name in ("queue_wait", "compute", "request"):
            bounds = {float(value) for (each, labels), _ in self.before.items()
                      for label, value in labels
                      if label == "le" and each == f"attention_{name}_seconds_bucket"}
            self.assertEqual(min(bounds), 1e-5, name)

    @unittest.skipUnless(shutil.which("promtool"), "there is no promtool here")
    def test_promtool_finds_nothing_to_complain_of(self):
        self.server.stub.SelfAttention(valid_requests()["SelfAttention"], timeout=60)
        text = self.server.get("/metrics")[1]
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, text=True,
            check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertEqual((checked.stdout + checked.stderr).strip(), "")

    def test_probes(self):
        self.assertEqual(self.server.get("/livez")[0], 200)
        self.assertEqual(self.server.get("/readyz")[0], 200)
        for path in ("/", "/../../etc/passwd", "/metrics/more", "/%00"):
            self.assertEqual(self.server.get(path)[0], 404, path)


if __name__ == "__main__":
    unittest.main()
