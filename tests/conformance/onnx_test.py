"""The node tests of ONNX's Attention and RotaryEmbedding, through a running server.

They are read from ATTENTION_CONFORMANCE_DIR or, where that is not set, from the folder
shared/conformance/onnx beside this project. Where neither exists, the test is skipped. The bound is
that of ONNX's own runner.
"""

import os
import pathlib
import sys
import unittest

import numpy

import ctest_main
from onnx_case import case_folders, read_case
from onnx_mapping import to_request
from server_process import ServerProcess
from tensors import BF16, to_array

_PROJECT = pathlib.Path(__file__).resolve().parents[2]
_DEFAULT_FOLDER = _PROJECT.parent / "shared" / "conformance" / "onnx"

_ABSOLUTE = 1e-7
_RELATIVE = {BF16: 2.0**-6}  # two of its steps
_RELATIVE_OF_OTHERS = 1e-3


def setUpModule():
    global server
    server = ServerProcess()


def tearDownModule():
    server.end_well()


class OnnxTest(unittest.TestCase):
    """Has one test for each case; see add_cases."""


def check_case(test, folder):
    case = read_case(folder)
    request, fields = to_request(case)
    method = type(request).__name__.removesuffix("Request")
    response = getattr(server.stub, method)(request, timeout=60)
    for slot, field in fields.items():
        check_tensor(test, field, getattr(response, field), case.outputs[slot])


def check_tensor(test, name, tensor, expected):
    test.assertEqual(tensor.data_type, expected.data_type, name)
    test.assertEqual(tensor.shape, expected.shape, name)
    relative = _RELATIVE.get(expected.data_type, _RELATIVE_OF_OTHERS)
    numpy.testing.assert_allclose(
        to_array(tensor), to_array(expected), rtol=relative, atol=_ABSOLUTE, err_msg=name)


def add_cases(folder):
    """Makes a test of each case below `folder`; returns how many there are of each operator."""
    counts = {}
    for each in case_folders(folder):
        operator = read_case(each).op_type
        counts[operator] = counts.get(operator, 0) + 1
        setattr(OnnxTest, each.name, lambda test, case=each: check_case(test, case))
    return counts


def main():
    folder = os.environ.get("ATTENTION_CONFORMANCE_DIR")
    if not folder:
        folder = _DEFAULT_FOLDER
        if not folder.is_dir():
            ctest_main.skip("no ATTENTION_CONFORMANCE_DIR, and no shared/conformance/onnx beside "
                            "the project")
    counts = add_cases(folder)
    if not counts:
        sys.exit(f"no case (*/model.onnx) in {folder}")
    print(f"{sum(counts.values())} cases: {counts}", flush=True)
    ctest_main.main()


if __name__ == "__main__":
    main()
