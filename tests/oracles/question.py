"""A question to the server that a library which is not ours has answered already.

Needs neither the library nor hypothesis, so that recorded questions can be asked again anywhere.
"""

import dataclasses

import numpy

import contract
from attention.v1 import attention_service_pb2 as service
from contract import Bounded
from tensors import F32, F64, to_array

# How a library arranges what the server answers. None mixes numbers but by a mean, so a bound on
# the error of the answer, arranged likewise, is one on the error of the arranged answer.
VIEWS = {
    "as_is": lambda a: a,
    "sequence_before_batch": lambda a: a.swapaxes(0, 1),
    "mean_over_heads": lambda a: a.mean(axis=-3),
    "only_head": lambda a: a[..., 0, :, :],
}

# Libraries are asked in float64 wherever the request is in a lower precision: their errors are that
# much smaller than the ones allowed to the server; 8 for orders of evaluation that differ.
_SLACK = 8
_FLOAT64_PART = _SLACK * 2.0**-29


@dataclasses.dataclass
class Expected:
    """What the library gave for a tensor of the answer."""
    array: numpy.ndarray
    view: str = "as_is"

    # What the caller multiplies the arranged answer with: 0 and 1, to hide rows.
    factor: numpy.ndarray | None = None

    # The library is off by no more than float64's roundings of what the answer is made of. If not,
    # it may be off by as much as the server.
    is_exact: bool = True


@dataclasses.dataclass
class Question:
    library: str
    request: object
    expected: dict  # Expected by the field of the answer

    # The same with all numbers in it, where `request` names a layer that the server has.
    spelled_out: object | None = None

    @property
    def method(self):
        return type(self.request).__name__.removesuffix("Request")

    def problems(self, response):
        """One sentence for each way in which the library, the contract and the server disagree."""
        whole = self.spelled_out or self.request
        truth = _truth(whole)
        found = []
        if not isinstance(whole, _OPERATORS):
            found += contract.disagreements(whole, response)
        for field, bounded in truth.items():
            if bounded is None:
                continue
            if isinstance(self.request, _OPERATORS):
                found += contract.differences(field, getattr(response, field), bounded)
            if field in self.expected:
                found += self._judge(field, bounded, to_array(getattr(response, field)))
        return found

    def _judge(self, field, bounded, got):
        expected = self.expected[field]

        def view(array):
            arranged = VIEWS[expected.view](array)
            return arranged if expected.factor is None else arranged * expected.factor

        truth = bounded.map(view)
        is_exact = expected.is_exact and not _in_float64(self.request)
        part = _FLOAT64_PART if is_exact else _SLACK
        found = contract.array_differences(
            f"{self.library} beside the contract: {field}", expected.array,
            Bounded(truth.value, part * truth.error))
        return found + contract.array_differences(
            f"the server beside {self.library}: {field}", view(got),
            Bounded(expected.array, truth.error))


_OPERATORS = (service.ApplyRotaryEmbeddingRequest, service.MergeAttentionStatesRequest)


def _truth(request):
    if isinstance(request, service.ApplyRotaryEmbeddingRequest):
        return {"output": contract.apply_rotary_embedding(request)}
    if isinstance(request, service.MergeAttentionStatesRequest):
        return contract.merged_states(request)
    return contract.asked_for(request, contract.answer(request))


def _in_float64(request):
    """True where some of the errors that the server may make are those of float64 already."""
    if not isinstance(request, _OPERATORS) and request.options.softmax_type == F64:
        return True
    return _data_type(request) == F64


def _data_type(request):
    if isinstance(request, service.MergeAttentionStatesRequest):
        return request.states[0].output.data_type or F32
    for name in ("embeddings", "query", "query_embeddings", "input"):
        if name in request.DESCRIPTOR.fields_by_name:
            return getattr(request, name).data_type or F32
    raise ValueError(f"no tensor in {request.DESCRIPTOR.name}")
