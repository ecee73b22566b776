"""PyTorch: its fused CPU attention, and FlexAttention compiled for the shape."""

import functools

import torch
from torch.nn.attention import flex_attention

from .contestant import Contestant, Prepared, Unsupported


def values(tensor):
    return tensor.to(torch.float32).numpy()


def with_threads(threads, run):
    """`run` as inference with that many threads; PyTorch's number of them is the process's."""

    def run_so():
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        with torch.inference_mode():
            return run()

    return run_so


class TorchAttention(Contestant):
    """torch.nn.functional.scaled_dot_product_attention."""

    name = "torch_sdpa"

    def prepare(self, case, operands, threads):
        run = functools.partial(
            torch.nn.functional.scaled_dot_product_attention,
            operands.query.tensor(), operands.key.tensor(), operands.value.tensor(),
            is_causal=case.causal, enable_gqa=case.grouped)
        return Prepared(self.name, with_threads(threads, run), values)


class TorchFlexAttention(Contestant):
    """torch.nn.attention.flex_attention, compiled for the case's own extents."""

    name = "torch_flex"

    def prepare(self, case, operands, threads):
        torch.set_num_threads(threads)
        torch._dynamo.reset()
        compiled = torch.compile(flex_attention.flex_attention, dynamic=False)
        block_mask = None
        if case.causal:
            block_mask = flex_attention.create_block_mask(
                lambda batch, head, query, key: query >= key, None, None, case.query_shape[2],
                case.key_shape[2], device="cpu")
        run = with_threads(threads, functools.partial(
            compiled, operands.query.tensor(), operands.key.tensor(), operands.value.tensor(),
            block_mask=block_mask, enable_gqa=case.grouped))
        try:
            run()
        except Exception as error:  # Whatever a compiler may raise.
            raise Unsupported(f"cannot be compiled: {type(error).__name__}") from error
        return Prepared(self.name, run, values)


CONTESTANTS = (TorchAttention(), TorchFlexAttention())
