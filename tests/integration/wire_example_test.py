"""The bytes, the numbers and the limits that proto/README.md shows are the real ones."""

import pathlib
import re
import subprocess
import unittest

import numpy

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from server_process import SERVER_BINARY, ServerProcess
from tensors import F32, to_array, to_tensor

README = pathlib.Path(__file__).resolve().parents[2] / "proto" / "README.md"


def limits_of_flags():
    """{flag: number} of the table rows that name a flag."""
    rows = re.findall(r"^\|.*\| ([\d^]+) ([\w ]+)\| `(--[\w-]+)` \|$", README.read_text(), re.M)
    units = {"MiB": 2**20, "GiB": 2**30, "s": 1, "floating point operations": 1}
    return {
        flag: float(number.replace("10^", "1e")) * units[unit.strip()]
        for number, unit, flag in rows}


def default_in_help(flag):
    """The default that the server's own help has for a flag, in seconds or bytes."""
    told = subprocess.run([SERVER_BINARY, "--help"], capture_output=True, text=True, check=True)
    number, unit = re.search(rf"{flag} \w+ \[(\d+)(GiB)?\]", told.stdout).groups()
    return float(number) * (2**30 if unit else 1)


def blocks():
    """The fenced blocks without a language, in order: the bytes, then the answer."""
    return re.findall(r"^```\n(.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S)


def example_bytes():
    dump = [re.match(r"(?:[0-9a-f]{2} )*[0-9a-f]{2}(?=  )", line.strip() + "  ")
            for line in blocks()[0].splitlines()]
    assert all(dump), "a line of the example has no bytes"
    return bytes.fromhex(" ".join(match.group(0) for match in dump))


def example_answer():
    """{"output": array, "weights": array} as printed."""
    numbers = {}
    for line in blocks()[1].splitlines():
        words = line.split()
        if words[0].isalpha():
            name = words.pop(0)
        numbers.setdefault(name, []).append([float(word) for word in words])
    return {name: numpy.array(rows) for name, rows in numbers.items()}


class WireExampleTest(unittest.TestCase):
    def test_the_bytes_are_the_request_that_the_text_describes(self):
        payload = example_bytes()
        described = service.MaskedAttentionRequest(
            embeddings=to_tensor([[1, 0], [0, 1], [1, 1]], F32), head_count=1,
            options={"scale": 0.5, "return_weights": True,
                     "causal": {"alignment": options_pb2.CAUSAL_ALIGNMENT_TOP_LEFT}})
        self.assertEqual(service.MaskedAttentionRequest.FromString(payload), described)
        self.assertEqual(payload, described.SerializeToString(deterministic=True))
        self.assertIn(f"of {len(payload)} bytes", README.read_text(encoding="utf-8"))

    def test_the_limits_shown_are_the_defaults_of_the_server(self):
        with ServerProcess() as server:
            info = server.stub.GetServerInfo(service.GetServerInfoRequest(), timeout=10)
        self.assertEqual(limits_of_flags(), {
            "--max-request-bytes": info.max_request_bytes,
            "--max-response-bytes": info.max_response_bytes,
            "--max-bytes-in-flight": default_in_help("--max-bytes-in-flight"),
            "--max-deadline-seconds": default_in_help("--max-deadline-seconds"),
            "--max-cache-bytes": default_in_help("--max-cache-bytes"),
            "--max-stream-idle-seconds": default_in_help("--max-stream-idle-seconds"),
            "--max-request-flops": info.max_request_flops,
            "--max-request-float64-flops": info.max_request_float64_flops,
        })

    def test_a_server_answers_the_bytes_with_the_numbers_shown(self):
        with ServerProcess() as server:
            answer = server.call("MaskedAttention", example_bytes())
        response = service.AttentionResponse.FromString(answer)
        shown = example_answer()
        self.assertEqual(list(response.output.shape), [3, 2])
        self.assertEqual(list(response.weights.shape), [1, 3, 3])
        # Half a unit of the seventh decimal, and what float32 may be off.
        near = {"rtol": 0, "atol": 0.5e-7 + 8 * 2**-24}
        numpy.testing.assert_allclose(to_array(response.output), shown["output"], **near)
        numpy.testing.assert_allclose(to_array(response.weights)[0], shown["weights"], **near)


if __name__ == "__main__":
    unittest.main()
