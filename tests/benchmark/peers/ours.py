"""The kernels of this project, through their Python module."""

import attention_kernels

from .cases import Case, Layer
from .contestant import Contestant, Prepared
from .operands import from_bfloat16_bits


def float32_values(array):
    """Of a NumPy array that is float32 or ml_dtypes' bfloat16."""
    return array if array.dtype == "float32" else from_bfloat16_bits(array.view("uint16"))


def precision_argument(array, precision):
    """What the module takes for an array of that type: only float32 has a choice."""
    return precision if array.dtype == "float32" else None


class Ours(Contestant):
    """scaled_dot_product_attention of this project in one precision."""

    def __init__(self, precision):
        self.precision = precision
        self.name = f"ours {precision}"

    def prepare(self, case, operands, threads):
        query, key, value = (
            each.typed() for each in (operands.query, operands.key, operands.value))
        options = {"is_causal": case.causal, "threads": threads,
                   "precision": precision_argument(query, self.precision)}

        def run():
            return attention_kernels.scaled_dot_product_attention(query, key, value, **options)

        def report():
            _, ran = attention_kernels.scaled_dot_product_attention(
                query, key, value, return_report=True, **options)
            return {"implementation": ran.implementation, "precision": ran.precision}

        return Prepared(self.name, run, float32_values, report)


class OurLayer(Contestant):
    """MultiHeadAttention of this project in one precision."""

    kinds = ("layer",)

    def __init__(self, precision):
        self.precision = precision
        self.name = f"ours {precision}"

    def prepare(self, case, operands, threads):
        embeddings = operands.embeddings.typed()
        attention = attention_kernels.MultiHeadAttention(
            operands.in_weight.typed(), operands.in_bias.typed(), operands.out_weight.typed(),
            operands.out_bias.typed(), case.heads,
            precision=precision_argument(embeddings, self.precision))

        def run():
            return attention(embeddings, threads=threads)

        def report():
            _, ran = attention(embeddings, threads=threads, return_report=True)
            return {"implementation": ran.implementation, "precision": ran.precision}

        return Prepared(self.name, run, float32_values, report)


# By what they compute.
CONTESTANTS = {Case: Ours, Layer: OurLayer}
