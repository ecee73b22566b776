"""Merging states: the softmax over all states' log-sum-exp, written plainly with PyTorch."""

import dataclasses

import numpy
import torch
from hypothesis import strategies as st

import draws
from attention.v1 import attention_service_pb2 as service
from question import Expected, Question
from tensors import F32, F64, round_to


@dataclasses.dataclass(frozen=True)
class Recipe:
    seed: int
    data_type: int
    states: int
    batch: int  # 0 for none
    heads: int
    queries: int
    width: int
    magnitude: float  # of log-sum-exp
    empty_chance: float


RECIPES = st.builds(
    Recipe, seed=draws.SEEDS, data_type=draws.DATA_TYPES,
    states=st.one_of(st.integers(1, 8), st.just(70)), batch=st.integers(0, 3), heads=draws.HEADS,
    queries=draws.SEQUENCES, width=draws.WIDTHS,
    magnitude=st.sampled_from([0.1, 3.0, 80.0, 1e4]), empty_chance=st.sampled_from([0.0, 0.3, 0.9]))


def question(recipe):
    numbers = draws.Numbers(recipe.seed, recipe.data_type)
    shape = (*([recipe.batch] if recipe.batch else []), recipe.heads, recipe.queries)
    sums_type = F64 if recipe.data_type == F64 else F32
    outputs = numbers.normal(recipe.states, *shape, recipe.width)
    log_sums = recipe.magnitude * numbers.random.standard_normal((recipe.states, *shape))
    log_sums = round_to(log_sums, sums_type)
    log_sums[numbers.chance(recipe.empty_chance, *log_sums.shape)] = -numpy.inf
    sent = outputs.copy()
    sent[log_sums == -numpy.inf] = numpy.nan  # an empty state is neutral, whatever it holds
    request = service.MergeAttentionStatesRequest(states=[
        service.AttentionState(
            output=numbers.tensor(output), log_sum_exp=numbers.tensor(log_sum, sums_type))
        for output, log_sum in zip(sent, log_sums)])
    log_sums = torch.from_numpy(log_sums)
    shares = torch.softmax(log_sums, 0).nan_to_num(0.0)
    output = (shares[..., None] * torch.from_numpy(outputs)).sum(0)
    return Question("the formula", request, {
        "output": Expected(output.numpy()),
        "log_sum_exp": Expected(torch.logsumexp(log_sums, 0).numpy())})
