"""torch.nn.MultiheadAttention on its fast path: inference, batch first, no weights asked for."""

import torch

from .contestant import Contestant, Prepared
from .pytorch import values, with_threads


class TorchLayer(Contestant):
    name = "torch_mha"
    kinds = ("layer",)

    def prepare(self, case, operands, threads):
        embeddings = operands.embeddings.tensor()
        attention = torch.nn.MultiheadAttention(
            case.width, case.heads, batch_first=True, dtype=embeddings.dtype).eval()
        with torch.no_grad():
            attention.in_proj_weight.copy_(operands.in_weight.tensor())
            attention.in_proj_bias.copy_(operands.in_bias.tensor())
            attention.out_proj.weight.copy_(operands.out_weight.tensor())
            attention.out_proj.bias.copy_(operands.out_bias.tensor())

        def run():
            return attention(embeddings, embeddings, embeddings, need_weights=False)[0]

        return Prepared(self.name, with_threads(threads, run), values)


CONTESTANTS = (TorchLayer(),)
