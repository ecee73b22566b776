#!/usr/bin/env python3
"""Attention in ten lines of Python: three words attend to each other.

Make the stubs in stubs/ as proto/README.md says, then run from the top of the source tree:

  PYTHONPATH=stubs python3 client/python/example.py 127.0.0.1:8001
"""

import sys

import grpc

from attention.v1 import attention_service_pb2 as api
from attention.v1 import attention_service_pb2_grpc as service
from attention.v1 import options_pb2, tensor_pb2


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8001"
    stub = service.AttentionServiceStub(grpc.insecure_channel(address))
    words = tensor_pb2.Tensor(shape=[3, 2], floats=[1, 0, 0, 1, 1, 1])
    request = api.SelfAttentionRequest(
        embeddings=words, options=options_pb2.AttentionOptions(return_weights=True)
    )
    try:
        response = stub.SelfAttention(request, timeout=10)
    except grpc.RpcError as error:
        sys.exit(error.details())  # one sentence: the field, what it was, what it should be
    for row in range(3):
        output = response.output.floats[2 * row : 2 * row + 2]
        weights = response.weights.floats[3 * row : 3 * row + 3]
        print("output", *(f"{x:.6f}" for x in output), "weights", *(f"{x:.6f}" for x in weights))


main()
