#!/usr/bin/env python3
"""Prefill, then decode: a prompt attends causally, then new tokens one after the other.

All of it is one stream, whose keys and values the server keeps: each request brings those of its
own tokens only.

Needs NumPy. Make the stubs in stubs/ as proto/README.md says, then run from the top of the source
tree:

  PYTHONPATH=stubs python3 client/python/decode.py 127.0.0.1:8001
"""

import queue
import sys

import grpc
import numpy

from attention.v1 import attention_service_pb2 as api
from attention.v1 import attention_service_pb2_grpc as service
from attention.v1 import options_pb2, tensor_pb2

HEADS, KEY_VALUE_HEADS, WIDTH = 8, 2, 64
PROMPT, NEW = 40, 8

# The last query sees the last key, however many keys came before.
OPTIONS = options_pb2.AttentionOptions(
    causal=options_pb2.Causal(alignment=options_pb2.CAUSAL_ALIGNMENT_BOTTOM_RIGHT))


def to_tensor(array):
    return tensor_pb2.Tensor(shape=array.shape, raw=array.astype("<f4").tobytes())


def to_array(tensor):
    return numpy.frombuffer(tensor.raw, "<f4").reshape(tensor.shape)


def to_request(query, key, value):
    return api.ScaledDotProductAttentionRequest(
        query=to_tensor(query), key=to_tensor(key), value=to_tensor(value), options=OPTIONS)


class Decoding:
    """A stream of DecodeAttention. As a context manager, it ends with the block."""

    def __init__(self, stub):
        self._requests = queue.SimpleQueue()
        self._answers = stub.DecodeAttention(iter(self._requests.get, None))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._requests.put(None)
        self._answers.cancel()

    def attend(self, query, key, value):
        self._requests.put(to_request(query, key, value))
        return to_array(next(self._answers).output)


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8001"
    stub = service.AttentionServiceStub(grpc.insecure_channel(address))
    random = numpy.random.default_rng(1)
    query, key, value = (random.standard_normal((heads, PROMPT + NEW, WIDTH))
                         for heads in (HEADS, KEY_VALUE_HEADS, KEY_VALUE_HEADS))
    try:
        with Decoding(stub) as decoding:
            outputs = [decoding.attend(query[:, :PROMPT], key[:, :PROMPT], value[:, :PROMPT])]
            for token in range(PROMPT, PROMPT + NEW):
                now = slice(token, token + 1)
                outputs.append(decoding.attend(query[:, now], key[:, now], value[:, now]))
        at_once = stub.ScaledDotProductAttention(to_request(query, key, value), timeout=10)
    except grpc.RpcError as error:
        sys.exit(error.details())  # one sentence: the field, what it was, what it should be
    difference = numpy.abs(numpy.concatenate(outputs, axis=1) - to_array(at_once.output)).max()
    print(f"{NEW} steps after {PROMPT} tokens differ from all at once by {difference:.1e} at most")


main()
