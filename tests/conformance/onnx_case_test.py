"""That the conformance test reads what is there, and refuses what it does not understand."""

import pathlib
import struct
import tempfile
import unittest

import numpy

import onnx_subset_pb2 as onnx
from attention.v1 import options_pb2
from onnx_case import Unsupported, case_folders, read_case
from onnx_mapping import to_request
from tensors import BOOL, F32, to_array

_FLOAT, _INT, _STRING = 1, 2, 3


def attribute(name, value):
    if isinstance(value, int):
        return onnx.AttributeProto(name=name, type=_INT, i=value)
    if isinstance(value, float):
        return onnx.AttributeProto(name=name, type=_FLOAT, f=value)
    return onnx.AttributeProto(name=name, type=_STRING, s=value)


class OnnxCaseTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, slots, opset=24, op_type="Attention", outputs=("Y",), **attributes):
        """A case whose input slots hold what `slots` says, by name; None leaves a slot out."""
        case = self.folder / "test_case"
        data = case / "test_data_set_0"
        data.mkdir(parents=True, exist_ok=True)
        names = [name if array is not None else "" for name, array in slots.items()]
        model = onnx.ModelProto(
            graph=onnx.GraphProto(
                node=[onnx.NodeProto(
                    op_type=op_type, input=names, output=outputs,
                    attribute=[attribute(*each) for each in attributes.items()])],
                input=[onnx.ValueInfoProto(name=name) for name in names if name],
                output=[onnx.ValueInfoProto(name=name) for name in outputs if name]),
            opset_import=[onnx.OperatorSetIdProto(version=opset)])
        (case / "model.onnx").write_bytes(model.SerializeToString())
        present = [array for array in slots.values() if array is not None]
        for number, array in enumerate(present):
            self.write_tensor(data / f"input_{number}.pb", array)
        for number in range(len([name for name in outputs if name])):
            self.write_tensor(data / f"output_{number}.pb", numpy.zeros((1, 1, 2, 4), "<f4"))
        return case

    def write_tensor(self, path, array):
        data_type = {"f": 1, "i": 7, "b": 9}[array.dtype.kind]
        stored = onnx.TensorProto(
            dims=array.shape, data_type=data_type, raw_data=array.tobytes())
        path.write_bytes(stored.SerializeToString())

    def operands(self, **more):
        query = numpy.arange(8, dtype="<f4").reshape(1, 1, 2, 4)
        return {"Q": query, "K": query + 1, "V": query + 2} | more

    def test_an_input_left_out_does_not_shift_the_others(self):
        lengths = numpy.array([2], "<i8")
        case = read_case(self.write(self.operands(M=None, PK=None, PV=None, N=lengths)))
        request, _ = to_request(case)
        self.assertFalse(request.options.HasField("boolean_mask"))
        self.assertFalse(request.HasField("past_key"))
        numpy.testing.assert_array_equal(to_array(request.options.key_lengths), [2])

    def test_every_attribute_reaches_the_request(self):
        past = numpy.zeros((1, 1, 3, 4), "<f4")
        case = read_case(self.write(
            self.operands(M=numpy.ones((2, 5), bool), PK=past, PV=past), opset=25,
            outputs=("Y", "", "", "S"), scale=0.25, is_causal=1, softcap=2.0, softmax_precision=11,
            qk_matmul_output_mode=1, left_window_size=2, right_window_size=0))
        request, fields = to_request(case)
        options = request.options
        self.assertEqual(options.scale, 0.25)
        self.assertEqual(options.softcap, 2.0)
        self.assertEqual(options.softmax_type, 4)
        self.assertEqual(options.boolean_mask.data_type, BOOL)
        self.assertEqual(options.causal.alignment, options_pb2.CAUSAL_ALIGNMENT_OFFSET)
        self.assertEqual(options.causal.offset, 3)
        self.assertEqual(options.query_positions.offset, 3)
        self.assertEqual((options.window.left, options.window.right), (2, 0))
        self.assertTrue(options.window.HasField("right"))
        self.assertEqual(options.return_scores, options_pb2.SCORES_KIND_CAPPED)
        self.assertEqual(fields, {0: "output", 3: "scores"})

    def test_an_attribute_that_is_not_known_is_refused(self):
        for name, value in (("dropout", 0.5), ("is_causal_too", 1), ("mode", b"fast")):
            with self.subTest(name), self.assertRaisesRegex(Unsupported, name):
                to_request(read_case(self.write(self.operands(), **{name: value})))

    def test_an_input_that_is_not_known_is_refused(self):
        slots = {f"I{number}": numpy.zeros((1, 1, 2, 4), "<f4") for number in range(8)}
        with self.assertRaises(Unsupported):
            to_request(read_case(self.write(slots)))

    def test_another_operator_is_refused(self):
        with self.assertRaisesRegex(Unsupported, "Softmax"):
            to_request(read_case(self.write(self.operands(), op_type="Softmax")))

    def test_numbers_that_are_not_raw_are_refused(self):
        case = self.write(self.operands())
        stored = onnx.TensorProto(dims=[1], data_type=1)
        (case / "test_data_set_0" / "input_0.pb").write_bytes(stored.SerializeToString())
        with self.assertRaisesRegex(Unsupported, "raw_data"):
            read_case(case)

    def test_tensors_keep_their_bytes(self):
        case = read_case(self.write(self.operands()))
        self.assertEqual(case.inputs[0].data_type, F32)
        self.assertEqual(case.inputs[0].raw, struct.pack("<8f", *range(8)))

    def test_only_folders_with_a_model_are_cases(self):
        self.write(self.operands())
        (self.folder / "no_case").mkdir()
        self.assertEqual([each.name for each in case_folders(self.folder)], ["test_case"])


if __name__ == "__main__":
    unittest.main()
