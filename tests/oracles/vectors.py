"""Questions with their answers by a library, as files: what can be asked again without it.

    {"library": ..., "versions": {package: version}, "seed": number, "cases": [
        {"suite": ..., "method": ..., "request": the request as protobuf's JSON,
         "expected": {field: {"view": ..., "is_exact": ..., "array": ..., "factor": ...}}}]}

Arrays are {"shape": ..., "f64": base64 of little-endian float64}.
"""

import base64
import json
import pathlib

import numpy
from google.protobuf import json_format

from attention.v1 import attention_service_pb2 as service
from question import Expected, Question

FOLDER = pathlib.Path(__file__).with_name("vectors")


def to_case(suite_name, question):
    return {
        "suite": suite_name,
        "method": question.method,
        "request": json_format.MessageToDict(question.request, preserving_proto_field_name=True),
        "expected": {
            field: {
                "view": expected.view,
                "is_exact": expected.is_exact,
                "array": _encode(expected.array),
                "factor": None if expected.factor is None else _encode(expected.factor),
            }
            for field, expected in question.expected.items()},
    }


def to_question(library, case):
    request = getattr(service, case["method"] + "Request")()
    json_format.ParseDict(case["request"], request)
    expected = {
        field: Expected(
            _decode(each["array"]), each["view"],
            None if each["factor"] is None else _decode(each["factor"]), each["is_exact"])
        for field, each in case["expected"].items()}
    return Question(library, request, expected)


def write(library, versions, seed, cases):
    FOLDER.mkdir(exist_ok=True)
    # One case a line, so that a change shows which cases changed.
    head = json.dumps({"library": library, "versions": versions, "seed": seed})
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    path = FOLDER / f"{library.lower()}.json"
    path.write_text(f'{head[:-1]}, "cases": [\n{lines}\n]}}\n', encoding="ascii")
    return path


def read_all():
    return [json.loads(path.read_text(encoding="ascii")) for path in sorted(FOLDER.glob("*.json"))]


def _encode(array):
    array = numpy.asarray(array, "<f8")
    return {"shape": array.shape, "f64": base64.b64encode(array.tobytes()).decode()}


def _decode(stored):
    numbers = numpy.frombuffer(base64.b64decode(stored["f64"]), "<f8")
    return numbers.reshape(stored["shape"])
