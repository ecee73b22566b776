"""The bits of an answer: alone or among seven different requests at once, on 1, 2 or 4 threads."""

import concurrent.futures
import unittest

import numpy

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from server_process import ServerProcess
from tensors import BF16, F32, INT64, to_tensor

ROUNDS = 4  # of all seven at once, in different orders
PRECISIONS = {
    "F32": (F32, options_pb2.PRECISION_F32),
    "BF16": (BF16, options_pb2.PRECISION_UNSPECIFIED),
    "BF16_X6": (F32, options_pb2.PRECISION_BF16_X6),
}


def mixed_requests(data_type, precision):
    """{name: (method, request)}: seven that take different paths through server and kernels."""
    random = numpy.random.default_rng(7)

    def tensor(*shape, scale=1.0):
        return to_tensor(scale * random.standard_normal(shape), data_type)

    def heads(batch, heads, key_heads, queries, keys, width):
        return {"layout": service.LAYOUT_HEADS_FIRST,
                "query": tensor(batch, heads, queries, width),
                "key": tensor(batch, key_heads, keys, width),
                "value": tensor(batch, key_heads, keys, width)}

    def options(**fields):
        return options_pb2.AttentionOptions(precision=precision, **fields)

    def projections(width):
        return service.Projections(**{
            name: service.Projection(weight=tensor(width, width, scale=width**-0.5))
            for name in ("query", "key", "value", "output")})

    causal = options_pb2.Causal(alignment=options_pb2.CAUSAL_ALIGNMENT_TOP_LEFT)
    return {
        "prefill": ("ScaledDotProductAttention", service.ScaledDotProductAttentionRequest(
            **heads(1, 4, 4, 300, 300, 64), options=options())),
        "causal, grouped": ("ScaledDotProductAttention", service.ScaledDotProductAttentionRequest(
            **heads(1, 8, 2, 257, 257, 80), options=options(causal=causal))),
        "decode": ("ScaledDotProductAttention", service.ScaledDotProductAttentionRequest(
            **heads(1, 8, 2, 1, 1500, 64), options=options())),
        "padded batch": ("ScaledDotProductAttention", service.ScaledDotProductAttentionRequest(
            **heads(6, 3, 3, 64, 96, 48),
            options=options(key_lengths=to_tensor([96, 50, 1, 17, 64, 80], INT64)))),
        "weights": ("ScaledDotProductAttention", service.ScaledDotProductAttentionRequest(
            **heads(1, 2, 2, 70, 130, 32), options=options(return_weights=True))),
        "layer": ("SelfAttention", service.SelfAttentionRequest(
            embeddings=tensor(2, 90, 128), projections=projections(128), head_count=4,
            options=options())),
        "tiny": ("CrossAttention", service.CrossAttentionRequest(
            query_embeddings=tensor(1, 2, 3), memory_embeddings=tensor(1, 9, 3),
            options=options())),
    }


def answer_bytes(response):
    """What the request decides, not how long it took or where it ran."""
    response.ClearField("execution")
    return response.SerializeToString(deterministic=True)


class MixedRequestsTest(unittest.TestCase):
    def check(self, data_type, precision):
        requests = mixed_requests(data_type, precision)
        self.assertEqual(len(requests), 7)

        def ask(server, name):
            method, request = requests[name]
            return answer_bytes(getattr(server.stub, method)(request, timeout=120))

        alone = {}
        for threads in (1, 2, 4):
            with ServerProcess(f"--compute-threads={threads}") as server:
                for name in requests:
                    answer = ask(server, name)
                    self.assertEqual(answer, alone.setdefault(name, answer),
                                     f"{name}, alone on {threads} threads")
                names = list(requests)
                with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
                    for turn in range(ROUNDS):
                        order = names[turn:] + names[:turn]
                        for name, answer in zip(
                                order, pool.map(lambda name: ask(server, name), order)):
                            self.assertEqual(answer, alone[name],
                                             f"{name}, among seven on {threads} threads")

    def test_bits_in_f32(self):
        self.check(*PRECISIONS["F32"])

    def test_bits_in_bf16(self):
        self.check(*PRECISIONS["BF16"])

    def test_bits_in_six_products(self):
        self.check(*PRECISIONS["BF16_X6"])


if __name__ == "__main__":
    unittest.main()
