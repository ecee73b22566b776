"""A request that keeps one compute thread busy for about as long as asked, on any machine."""

import math

import numpy

from attention.v1 import attention_service_pb2 as service
from tensors import F64, to_tensor

_WIDTH = 64
_PROBE_ROWS = 768


def make_long_request(server, seconds):
    """Float64 self-attention sized by measuring a small one on `server`."""
    probe = server.stub.SelfAttention(_request(_PROBE_ROWS), timeout=60)
    # The work grows with the square of the rows.
    thread_seconds = seconds * probe.execution.thread_count
    rows = _PROBE_ROWS * math.sqrt(thread_seconds * 1e9 / probe.execution.compute_ns)
    return _request(int(rows))


def _request(row_count):
    embeddings = numpy.random.default_rng(1).standard_normal((row_count, _WIDTH))
    return service.SelfAttentionRequest(embeddings=to_tensor(embeddings, F64))
