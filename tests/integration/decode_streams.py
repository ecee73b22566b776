"""Requests of DecodeAttention, streams that send them, and what test cases share."""

import queue

import grpc
import numpy

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from lifecycle_test import LifecycleTestCase, wait_until
from tensors import F32, to_tensor

METHOD = "/attention.v1.AttentionService/DecodeAttention"
LAYOUTS = (service.LAYOUT_HEADS_FIRST, service.LAYOUT_SEQUENCE_FIRST, service.LAYOUT_PACKED)
LAST = {"alignment": options_pb2.CAUSAL_ALIGNMENT_BOTTOM_RIGHT}
KEY_WIDTH, VALUE_WIDTH = 8, 6


def laid_out(array, layout):
    """[..., heads, rows, width] in the order of `layout`."""
    if layout == service.LAYOUT_HEADS_FIRST:
        return array
    array = array.swapaxes(-2, -3)
    if layout == service.LAYOUT_SEQUENCE_FIRST:
        return array
    return array.reshape(*array.shape[:-2], array.shape[-2] * array.shape[-1])


class Steps:
    """The requests of one stream, and what would have to be sent in place of them."""

    def __init__(self, data_type=F32, layout=service.LAYOUT_HEADS_FIRST, batch=(), heads=2,
                 key_value_heads=1, widths=(KEY_WIDTH, VALUE_WIDTH)):
        self.numbers = numpy.random.default_rng(1)
        self.data_type, self.layout, self.batch = data_type, layout, batch
        self.heads, self.key_value_heads = heads, key_value_heads
        self.keys, self.values = (self.random(key_value_heads, 0, width) for width in widths)

    def random(self, *shape):
        return self.numbers.normal(size=(*self.batch, *shape))

    def tensor(self, array):
        return to_tensor(laid_out(array, self.layout), self.data_type)

    def next(self, query_count=1, key_count=1, **options):
        """Returns the stream's next request, and the same for ScaledDotProductAttention."""
        keys, values = (self.random(self.key_value_heads, key_count, each.shape[-1])
                        for each in (self.keys, self.values))
        request = service.ScaledDotProductAttentionRequest(
            query=self.tensor(self.random(self.heads, query_count, keys.shape[-1])),
            key=self.tensor(keys), value=self.tensor(values), layout=self.layout, options=options,
            head_count=self.heads, key_value_head_count=self.key_value_heads)
        whole = service.ScaledDotProductAttentionRequest()
        whole.CopyFrom(request)
        whole.past_key.CopyFrom(to_tensor(self.keys, self.data_type))
        whole.past_value.CopyFrom(to_tensor(self.values, self.data_type))
        self.keys = numpy.concatenate([self.keys, keys], -2)
        self.values = numpy.concatenate([self.values, values], -2)
        return request, whole


def step(query_count=1, key_count=1, **how):
    return Steps(**how).next(query_count, key_count)[0]


def changed(request=None, **fields):
    request = request or step()
    for name, content in fields.items():
        if isinstance(content, int):
            setattr(request, name, content)
        else:
            getattr(request, name).CopyFrom(content)
    return request


class Stream:
    """A call whose requests are sent one by one."""

    def __init__(self, stub, timeout=60):
        self.requests = queue.SimpleQueue()
        self.call = stub.DecodeAttention(iter(self.requests.get, None), timeout=timeout)

    def send(self, *requests):
        for request in requests:
            self.requests.put(request)

    def ask(self, request):
        self.send(request)
        return next(self.call)

    def end(self):
        """Closes the caller's side; returns the answers not yet read and the code."""
        self.send(None)
        return self.rest()

    def rest(self):
        answers = []
        try:
            answers.extend(self.call)
        except grpc.RpcError:
            pass
        self.send(None)  # gRPC's thread waits for it
        return answers, self.call.code()


class StreamTestCase(LifecycleTestCase):
    def check_idle(self, server):
        self.assertTrue(
            wait_until(lambda: server.sample("attention_streams") == 0), "a stream is left")
        super().check_idle(server)
        self.assertEqual(server.sample("attention_cache_bytes"), 0)

    def check_end(self, stream, code, *words):
        self.assertEqual(stream.rest(), ([], code), stream.call.details())
        for word in words:
            self.assertIn(word, stream.call.details())

    def check_alive(self, server):
        stream = Stream(server.stub)
        stream.ask(step(3, 3))
        self.assertEqual(stream.end(), ([], grpc.StatusCode.OK))
