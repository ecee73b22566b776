"""Attention on the CPU, in process, on NumPy arrays and PyTorch tensors."""

from ._native import (
    MultiHeadAttention,
    Report,
    __version__,
    implementation,
    instruction_set,
    merge_attention_states,
    rotary_embedding,
    scaled_dot_product_attention,
    usable_implementations,
    use_implementation,
)

__all__ = [
    "MultiHeadAttention",
    "Report",
    "implementation",
    "instruction_set",
    "merge_attention_states",
    "rotary_embedding",
    "scaled_dot_product_attention",
    "usable_implementations",
    "use_implementation",
]
