"""No field of a request is silently ignored: each one changes the answer, or is refused.

The fields come from the protocol's own descriptors: a new one without an example fails here.
"""

import tempfile
import unittest

import grpc

import field_examples
import fields
import layer_files
from field_examples import OF_OPTIONS
from request_examples import OF_REQUESTS
from server_process import ServerProcess

EXAMPLES = OF_OPTIONS | OF_REQUESTS
_MODEL_WIDTH = field_examples.HEADS * field_examples.WIDTH

REFUSALS = ("INVALID_ARGUMENT", "UNIMPLEMENTED")

# decode_stream_test has them refused.
NOT_IN_STREAMS = {f"ScaledDotProductAttentionRequest.{name}" for name in (
    "return_present", "query_starts", "key_starts")}


def prepared(method, name):
    """The request before and after the example of the field `name`."""
    example = EXAMPLES[name]
    before = field_examples.request_of(method, example.data_type)
    part = before.options if name in OF_OPTIONS else before
    example.before(part)
    after = type(before)()
    after.CopyFrom(before)
    example.change(after.options if name in OF_OPTIONS else after)
    return before, after


def _floats_too(tensor):
    tensor.floats.append(0.5)


def _longer(tensor):
    tensor.shape[-1] += 1


def _another_type(tensor):
    """One whose elements have another size, or that nothing takes here."""
    tensor.data_type = 2 if tensor.data_type != 2 else 4


def _reversed(tensor):
    """The elements in reverse order: other contents, as valid as can be told without a meaning."""
    element_bytes = len(tensor.raw) // _count(tensor)
    elements = [
        tensor.raw[at:at + element_bytes] for at in range(0, len(tensor.raw), element_bytes)]
    tensor.raw = b"".join(reversed(elements))


def _count(tensor):
    count = 1
    for extent in tensor.shape:
        count *= extent
    return count


# By the field of Tensor that each changes.
TENSOR_CHANGES = {
    "floats": _floats_too, "shape": _longer, "data_type": _another_type, "raw": _reversed}


class EveryFieldTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        layers = tempfile.TemporaryDirectory()
        cls.addClassCleanup(layers.cleanup)
        for name in ("layer", "other"):
            layer_files.write_layer(
                layers.name, name, {"format": "plain", "head_count": field_examples.HEADS},
                {"query.weight": layer_files.Numbers(1)(*[_MODEL_WIDTH] * 2)})
        cls.server = ServerProcess(f"--layers-directory={layers.name}")

    @classmethod
    def tearDownClass(cls):
        cls.server.end_well()

    def answer(self, method, request):
        """What the answer says, but for times and names that differ from call to call; or the
        refusal."""
        try:
            call = getattr(self.server.stub, method)
            if method == "DecodeAttention":
                response = next(call(iter([request]), timeout=60))
            else:
                response = call(request, timeout=60)
        except grpc.RpcError as error:
            return error.code().name
        if hasattr(response, "execution"):
            execution = response.execution
            for name in ("thread_count", "queue_ns", "compute_ns", "total_ns", "request_id"):
                execution.ClearField(name)
        return response.SerializeToString(deterministic=True)

    def each_example(self):
        """Yields (method, field's name, request before, request after)."""
        for method, request in fields.requests_by_method().items():
            for name in fields.fields_within(request.DESCRIPTOR):
                streams = method == "DecodeAttention"
                if name in EXAMPLES and not (streams and name in NOT_IN_STREAMS):
                    yield method, name, *prepared(method, name)

    def test_every_field_of_every_request_has_an_example_and_no_other_does(self):
        known = set()
        for request in fields.requests_by_method().values():
            known |= set(fields.fields_within(request.DESCRIPTOR))
        self.assertGreater(len(known), 100)
        self.assertEqual(known - set(EXAMPLES), set(), "add an example to field_examples.py")
        self.assertEqual(set(EXAMPLES) - known, set(), "examples of fields that are not there")
        self.assertEqual(set(TENSOR_CHANGES), {each.name for each in fields.TENSOR.fields})

    def test_an_example_changes_its_field_and_nothing_else(self):
        for method, name, before, after in self.each_example():
            with self.subTest(f"{method}: {name}"):
                self.assertEqual(fields.differing(before, after), {name})

    def test_each_field_changes_the_answer_or_is_refused(self):
        for method, name, before, after in self.each_example():
            with self.subTest(f"{method}: {name}"):
                without, given = self.answer(method, before), self.answer(method, after)
                self.assertIsInstance(without, bytes, "the request before the change is refused")
                if EXAMPLES[name].refused:
                    self.assertIn(given, REFUSALS)
                else:
                    self.assertIsInstance(given, bytes, "the changed request is refused")
                    self.assertTrue(without != given, "the field is ignored")

    def test_each_field_of_each_tensor_changes_the_answer_or_is_refused(self):
        seen = set()
        for method, name, before, after in self.each_example():
            request = before if EXAMPLES[name].refused else after
            answer = None
            for place, _ in fields.tensors_within(request):
                if (method, place) in seen:
                    continue
                seen.add((method, place))
                answer = answer or self.answer(method, request)
                self.assertIsInstance(answer, bytes)
                for field, change in TENSOR_CHANGES.items():
                    with self.subTest(f"{method}: {place}.{field}"):
                        self.check_tensor_change(method, request, place, change, answer)
        self.assertGreater(len(seen), 100)

    def check_tensor_change(self, method, request, place, change, answer):
        changed = type(request)()
        changed.CopyFrom(request)
        change(dict(fields.tensors_within(changed))[place])
        self.assertNotEqual(changed, request, "the change changes nothing")
        given = self.answer(method, changed)
        if not isinstance(given, bytes):
            self.assertIn(given, REFUSALS)
        self.assertTrue(given != answer, "the field is ignored")


if __name__ == "__main__":
    unittest.main()
