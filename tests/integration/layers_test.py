"""Layers that the server loads from files: their answers, their names, and how they change."""

import concurrent.futures
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

import grpc
import numpy

import contract
import layer_files
from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from long_request import make_long_request
from server_process import SERVER_BINARY, ServerProcess, clean_environment
from tensors import BF16, F32, to_tensor

WIDTH = 24
MEMORY_WIDTH = 10


def embeddings(seed, *shape, data_type=F32):
    return to_tensor(numpy.random.default_rng(seed).normal(size=shape), data_type)


class Layer:
    """A layer in a directory, and what requests would have to send instead of its name."""

    def __init__(self, name, description, arrays, projections, **heads):
        self.name = name
        self.description = description
        self.arrays = arrays
        self.projections = projections
        self.heads = heads
        self.sinks = []

    def write(self, directory, data_type=F32):
        layer_files.write_layer(directory, self.name, self.description, self.arrays, data_type)

    def spelled_out(self, request):
        """The request without a layer."""
        if hasattr(request, "embeddings"):  # grouped heads have no other name there
            copy = service.MultiHeadAttentionRequest(
                query=request.embeddings, options=request.options)
        else:
            copy = type(request)()
            copy.CopyFrom(request)
            copy.ClearField("layer")
        copy.projections.CopyFrom(self.projections)
        for name, count in self.heads.items():
            setattr(copy, name, count)
        if self.sinks:
            copy.options.sinks.CopyFrom(to_tensor(self.sinks, F32))
        return copy


def pytorch_layer(name="torch", seed=1, appends=False):
    arrays = layer_files.pytorch_arrays(layer_files.Numbers(seed), WIDTH, appends)
    description = {"format": "pytorch", "head_count": 4}
    if appends:
        description["add_zero_attn"] = True
    layer = Layer(name, description, arrays, layer_files.pytorch_projections(arrays), head_count=4)
    layer.sinks = [0.0] * 4 if appends else []
    return layer


def keras_layer(name="keras", seed=2):
    arrays = layer_files.keras_arrays(layer_files.Numbers(seed), WIDTH, 6, 2, 8)
    projections = layer_files.keras_projections(arrays)
    return Layer(name, {"format": "keras"}, arrays, projections, head_count=6,
                 key_value_head_count=2)


def plain_layer(name="plain", seed=3):
    numbers = layer_files.Numbers(seed)
    arrays = {"query.weight": numbers(WIDTH, 12), "query.bias": numbers(12),
              "key.weight": numbers(MEMORY_WIDTH, 12), "value.weight": numbers(MEMORY_WIDTH, 18)}
    projections = layer_files.plain_projections(arrays)
    return Layer(name, {"format": "plain", "head_count": 3}, arrays, projections, head_count=3)


class LayersTestCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.directory = pathlib.Path(folder.name)

    def serve(self, *flags):
        server = ServerProcess(f"--layers-directory={self.directory}", *flags)
        self.addCleanup(server.end_well)
        return server

    def check_answer(self, server, layer, method, request):
        response = getattr(server.stub, method)(request, timeout=60)
        self.assertEqual(contract.disagreements(layer.spelled_out(request), response), [])
        return response

    def check_refused(self, call, code, *words):
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        self.assertEqual(caught.exception.code(), code)
        for word in words:
            self.assertIn(word, caught.exception.details())


class AnswersTest(LayersTestCase):
    def test_a_pytorch_layer(self):
        for appends in (False, True):
            with self.subTest(appends=appends):
                layer = pytorch_layer(appends=appends)
                layer.write(self.directory)
                with self.serve() as server:
                    request = service.SelfAttentionRequest(
                        embeddings=embeddings(1, 2, 5, WIDTH), layer=layer.name)
                    request.options.return_weights = True
                    response = self.check_answer(server, layer, "SelfAttention", request)
                    self.assertEqual(response.weights.shape[-1], 6 if appends else 5)

    def test_a_keras_layer(self):
        layer = keras_layer()
        layer.write(self.directory)
        with self.serve() as server:
            request = service.MaskedAttentionRequest(
                embeddings=embeddings(1, 7, WIDTH), layer=layer.name)
            request.options.causal.alignment = options_pb2.CAUSAL_ALIGNMENT_TOP_LEFT
            self.check_answer(server, layer, "MaskedAttention", request)

    def test_a_plain_layer_over_two_sequences(self):
        layer = plain_layer()
        layer.write(self.directory)
        with self.serve() as server:
            cross = service.CrossAttentionRequest(
                query_embeddings=embeddings(1, 3, WIDTH),
                memory_embeddings=embeddings(2, 5, MEMORY_WIDTH), layer=layer.name)
            self.check_answer(server, layer, "CrossAttention", cross)
            multi_head = service.MultiHeadAttentionRequest(
                query=embeddings(3, 2, 4, WIDTH), key=embeddings(4, 2, 6, MEMORY_WIDTH),
                layer=layer.name)
            self.check_answer(server, layer, "MultiHeadAttention", multi_head)

    def test_every_precision_of_an_f32_layer(self):
        layer = pytorch_layer()
        layer.write(self.directory)
        with self.serve() as server:
            for precision in options_pb2.Precision.values():
                request = service.SelfAttentionRequest(
                    embeddings=embeddings(5, 40, WIDTH), layer=layer.name)
                request.options.precision = precision
                with self.subTest(precision=precision):
                    self.check_answer(server, layer, "SelfAttention", request)

    def test_numbers_rounded_to_another_type(self):
        layer = keras_layer()
        layer.projections = layer_files.keras_projections(layer.arrays, BF16)
        layer.description["data_type"] = "BF16"
        layer.write(self.directory)
        with self.serve() as server:
            request = service.SelfAttentionRequest(
                embeddings=embeddings(1, 9, WIDTH, data_type=BF16), layer=layer.name)
            self.check_answer(server, layer, "SelfAttention", request)
            request.embeddings.CopyFrom(embeddings(1, 9, WIDTH))
            self.check_refused(
                lambda: server.stub.SelfAttention(request, timeout=60),
                grpc.StatusCode.INVALID_ARGUMENT, "embeddings.data_type")

    def test_many_at_once_get_the_bits_that_each_gets_alone(self):
        layer = keras_layer()
        layer.write(self.directory)
        with self.serve("--compute-threads=1") as server:
            requests = [
                service.SelfAttentionRequest(
                    embeddings=embeddings(seed, 1 + seed % 9, WIDTH), layer=layer.name)
                for seed in range(64)]
            alone = [server.stub.SelfAttention(each, timeout=60).output.raw for each in requests]
            blocker = server.stub.SelfAttention.future(make_long_request(server, 2), timeout=60)
            while server.sample("attention_requests_in_flight") < 1:
                time.sleep(0.01)
            pending = [server.stub.SelfAttention.future(each, timeout=60) for each in requests]
            self.assertEqual([each.result().output.raw for each in pending], alone)
            blocker.result()
            counted = server.sample("attention_layer_sharing_requests_sum")
            self.assertEqual(counted, 128)
            products = server.sample("attention_layer_sharing_requests_count")
            self.assertLess(products, 128)


class NamesTest(LayersTestCase):
    def setUp(self):
        super().setUp()
        pytorch_layer("b", appends=True).write(self.directory)
        plain_layer("a").write(self.directory)
        self.server = self.serve()

    def test_layers_are_listed_by_name(self):
        layers = self.server.stub.ListLayers(service.ListLayersRequest(), timeout=60).layers
        self.assertEqual([each.name for each in layers], ["a", "b"])
        self.assertEqual(layers[0], self.get("a"))
        self.assertEqual(layers[1], self.get("b"))

    def test_a_layer_is_described(self):
        plain = self.get("a")
        self.assertEqual(plain.format, "plain")
        self.assertEqual(plain.data_type, F32)
        self.assertEqual((plain.head_count, plain.key_value_head_count), (3, 3))
        self.assertEqual((plain.query.input_width, plain.query.output_width), (WIDTH, 12))
        self.assertTrue(plain.query.has_bias)
        self.assertFalse(plain.key.has_bias)
        self.assertFalse(plain.HasField("output"))
        torch = self.get("b")
        self.assertEqual(torch.format, "pytorch")
        self.assertTrue(torch.appends_key_value)
        self.assertEqual(list(torch.sinks), [0.0] * 4)

    def get(self, name):
        return self.server.stub.GetLayer(service.GetLayerRequest(name=name), timeout=60).layer

    def test_other_names_are_not_found(self):
        request = service.SelfAttentionRequest(embeddings=embeddings(1, 2, WIDTH), layer="c")
        self.check_refused(lambda: self.server.stub.SelfAttention(request, timeout=60),
                           grpc.StatusCode.NOT_FOUND, "layer", "'c'")
        self.check_refused(lambda: self.get("c"), grpc.StatusCode.NOT_FOUND, "'c'")
        for name in ("", "..", "a/../b", "/etc", "a\n", "\N{CYRILLIC SMALL LETTER A}", "x" * 129):
            with self.subTest(name):
                self.check_refused(lambda: self.get(name), grpc.StatusCode.INVALID_ARGUMENT, "name")

    def test_what_the_layer_says_cannot_be_said_again(self):
        request = service.SelfAttentionRequest(embeddings=embeddings(1, 2, WIDTH), layer="b")
        request.projections.SetInParent()
        self.check_refused(lambda: self.server.stub.SelfAttention(request, timeout=60),
                           grpc.StatusCode.INVALID_ARGUMENT, "projections", "layer")
        request.ClearField("projections")
        request.head_count = 2
        self.check_refused(lambda: self.server.stub.SelfAttention(request, timeout=60),
                           grpc.StatusCode.INVALID_ARGUMENT, "head_count: got 2")
        request.head_count = 4
        request.options.sinks.CopyFrom(to_tensor([0] * 4))
        self.check_refused(lambda: self.server.stub.SelfAttention(request, timeout=60),
                           grpc.StatusCode.INVALID_ARGUMENT, "options.sinks", "'b'")

    def test_a_name_of_a_megabyte_is_refused_unread(self):
        self.check_refused(lambda: self.get("x" * 1_000_000), grpc.StatusCode.INVALID_ARGUMENT,
                           "bytes, want <= 4096")

    def test_bytes_that_are_no_text_leave_no_line_of_their_own(self):
        payload = b"\x2a\x02\xff\xff"  # field 5, layer
        self.check_refused(lambda: self.server.call("SelfAttention", payload),
                           grpc.StatusCode.INVALID_ARGUMENT)
        self.server.stop()
        for line in self.server.log_lines:
            self.assertTrue(line.startswith("{"), line)

    def test_a_server_without_layers_has_none(self):
        with ServerProcess() as server:
            listed = server.stub.ListLayers(service.ListLayersRequest(), timeout=60)
            self.assertEqual(len(listed.layers), 0)
            self.check_refused(
                lambda: server.stub.GetLayer(service.GetLayerRequest(name="a"), timeout=60),
                grpc.StatusCode.NOT_FOUND)

    def test_a_server_without_layers_says_that_there_are_none_to_load_again(self):
        with ServerProcess() as server:
            server.signal(signal.SIGHUP)
            end = time.monotonic() + 30
            while "SIGHUP changes nothing" not in server.log:
                self.assertLess(time.monotonic(), end, server.log)
                time.sleep(0.01)


class ReloadTest(LayersTestCase):
    def setUp(self):
        super().setUp()
        self.layers = [keras_layer("layer", seed) for seed in (1, 2)]
        self.layers[0].write(self.directory)
        self.server = self.serve("--compute-threads=2")
        self.request = service.SelfAttentionRequest(
            embeddings=embeddings(1, 5, WIDTH), layer="layer")

    def hang_up(self, loads, result="loaded"):
        """Has the layers loaded again, until so many have been."""
        self.server.signal(signal.SIGHUP)
        end = time.monotonic() + 30
        while self.server.sample("attention_layer_loads_total", result=result) < loads:
            self.assertLess(time.monotonic(), end, self.server.log)
            time.sleep(0.01)

    def output(self):
        return self.server.stub.SelfAttention(self.request, timeout=60).output.raw

    def test_a_signal_loads_what_the_directory_holds_now(self):
        self.check_answer(self.server, self.layers[0], "SelfAttention", self.request)
        self.layers[1].write(self.directory)
        self.check_answer(self.server, self.layers[0], "SelfAttention", self.request)
        plain_layer("more").write(self.directory)
        self.hang_up(2)
        self.check_answer(self.server, self.layers[1], "SelfAttention", self.request)
        self.assertEqual(self.server.sample("attention_layers"), 2)
        self.server.stub.GetLayer(service.GetLayerRequest(name="more"), timeout=60)

    def test_layers_that_are_not_whole_change_nothing(self):
        held = self.server.sample("attention_layer_bytes")
        self.assertGreater(held, 0)
        self.layers[1].write(self.directory)
        (self.directory / "more").mkdir()
        self.hang_up(1, "refused")
        self.check_answer(self.server, self.layers[0], "SelfAttention", self.request)
        self.assertEqual(self.server.sample("attention_layer_bytes"), held)
        lines = [line for line in self.server.log_lines if "those before stay" in line]
        self.assertEqual(len(lines), 1)
        self.assertIn("layer.json", lines[0])

    def test_answers_never_mix_two_sets(self):
        outputs = {self.output()}
        self.layers[1].write(self.directory)
        self.hang_up(2)
        outputs.add(self.output())
        self.assertEqual(len(outputs), 2)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            done = False

            def ask():
                seen = set()
                while not done:
                    seen.add(self.output())
                return seen

            asking = [pool.submit(ask) for _ in range(8)]
            for load in range(6):
                self.layers[load % 2].write(self.directory)
                self.hang_up(3 + load)
            done = True
            for each in asking:
                self.assertLessEqual(each.result(), outputs)

    def test_memory_of_replaced_layers_is_returned(self):
        held = self.server.sample("attention_layer_bytes")
        for load in range(3):
            self.output()
            self.hang_up(2 + load)
        self.assertEqual(self.server.sample("attention_layer_bytes"), held)

    def test_a_termination_ends_a_server_that_has_reloaded(self):
        self.hang_up(2)
        self.server.signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(), 0)


class RefusedStartTest(LayersTestCase):
    def check_refused_start(self, *words, flags=()):
        finished = subprocess.run(
            [SERVER_BINARY, "--grpc-address=127.0.0.1:0", "--http-address=127.0.0.1:0",
             f"--layers-directory={self.directory}", *flags],
            capture_output=True, text=True, timeout=60, check=False, env=clean_environment())
        self.assertGreater(finished.returncode, 0)
        complaint = finished.stderr.strip()
        self.assertEqual(len(complaint.splitlines()), 1, complaint)
        self.assertTrue(complaint.startswith("attention_server: --layers-directory: "), complaint)
        for word in words:
            self.assertIn(word, complaint)

    def test_a_bad_layer_stops_the_start_with_one_sentence(self):
        layer = pytorch_layer()
        layer.description["heads"] = 4
        layer.write(self.directory)
        self.check_refused_start("torch/layer.json", "'heads'")
        layer = pytorch_layer()
        del layer.arrays["out_proj.weight"]
        layer.write(self.directory)
        self.check_refused_start("torch/weights.safetensors", "out_proj.weight")

    def test_a_layer_without_room_stops_the_start(self):
        pytorch_layer().write(self.directory)
        self.check_refused_start("torch", "--max-layer-bytes", flags=("--max-layer-bytes=20000",))

    def test_a_directory_that_is_not_there_stops_the_start(self):
        self.directory = self.directory / "absent"
        self.check_refused_start("absent")


if __name__ == "__main__":
    unittest.main()
