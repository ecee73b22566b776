"""What is compared: shapes that models have, in the layout [batch, heads, sequence, width]."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Case:
    """One attention problem."""

    kind: str  # prefill, decode or tiny
    shape: str  # heads x tokens x width; 32-8: query on key-value heads; 1on9: queries on keys
    query_heads: int
    queries: int
    width: int
    key_value_heads: int = 0  # 0: as many as query heads
    keys: int = 0  # 0: as many as queries
    batch: int = 1
    causal: bool = False

    @property
    def query_shape(self):
        return (self.batch, self.query_heads, self.queries, self.width)

    @property
    def key_shape(self):
        return (self.batch, self.key_value_heads or self.query_heads, self.keys or self.queries,
                self.width)

    @property
    def grouped(self):
        return self.query_shape[1] != self.key_shape[1]

    @property
    def flops(self):
        """Of the two products, over the pairs that causality leaves."""
        pairs = self.queries * self.key_shape[2]
        if self.causal:
            pairs = self.queries * (self.queries + 1) // 2
        return 4 * self.batch * self.query_heads * pairs * self.width


@dataclasses.dataclass(frozen=True)
class Layer:
    """Self-attention with its four projections, as torch.nn.MultiheadAttention computes it."""

    shape: str  # width x tokens
    width: int
    tokens: int
    batch: int = 1
    kind: str = "layer"
    causal: bool = False

    @property
    def heads(self):
        return self.width // 64

    @property
    def flops(self):
        projections = 8 * self.tokens * self.width**2
        return self.batch * (projections + 4 * self.tokens**2 * self.width)


def _prefill():
    for heads, tokens, width in ((8, 512, 64), (8, 1024, 64), (8, 2048, 64), (8, 2048, 128)):
        for causal in (False, True):
            yield Case("prefill", f"{heads}x{tokens}x{width}", heads, tokens, width, causal=causal)
    yield Case("prefill", "8x128on4096x64", 8, 128, 64, keys=4096)
    yield Case("prefill", "batch8_12x128x64", 12, 128, 64, batch=8)
    yield Case("prefill", "16x197x64", 16, 197, 64)
    yield Case("prefill", "8x1000x80", 8, 1000, 80)
    yield Case("prefill", "8x333x48", 8, 333, 48)
    yield Case("prefill", "32-8x1024x128", 32, 1024, 128, key_value_heads=8, causal=True)


CASES = (
    *_prefill(),
    Case("decode", "32-8x1on4096x128", 32, 1, 128, key_value_heads=8, keys=4096),
    Case("tiny", "1x9x3", 1, 9, 3),
)

LAYERS = tuple(
    Layer(f"{width}x{tokens}", width, tokens) for width in (256, 768, 1024) for tokens in (128, 512)
)

# What a smoke test has time for.
QUICK = ("8x333x48", "1x9x3", "256x128")
