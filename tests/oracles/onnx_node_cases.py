"""onnx_node_cases.py FOLDER: writes ONNX's own node tests of Attention and RotaryEmbedding, as the
installed package has them, for tests/conformance/onnx_test.py to read."""

import pathlib
import sys

import numpy
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

_OPERATORS = ("Attention", "RotaryEmbedding")


def main(folder):
    count = 0
    for case in collect_testcases(None):
        nodes = case.model.graph.node
        # The same data stand a second time with the operator expanded into others.
        if len(nodes) == 1 and nodes[0].op_type in _OPERATORS:
            write(pathlib.Path(folder) / case.name, case)
            count += 1
    print(f"{count} cases of ONNX {onnx.__version__}")


def write(place, case):
    data = place / "test_data_set_0"
    data.mkdir(parents=True)
    (place / "model.onnx").write_bytes(case.model.SerializeToString())
    for kind, arrays in zip(("input", "output"), case.data_sets[0]):
        for number, array in enumerate(arrays):
            tensor = array
            if not isinstance(array, onnx.TensorProto):
                tensor = numpy_helper.from_array(numpy.asarray(array))
            (data / f"{kind}_{number}.pb").write_bytes(tensor.SerializeToString())


if __name__ == "__main__":
    main(*sys.argv[1:])
