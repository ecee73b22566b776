"""The numbers that everybody computes on: one set of NumPy buffers for each case and type."""

import numpy


class Unsupported(Exception):
    """A contestant that does not offer this, with the reason."""


def to_bfloat16_bits(array):
    """The nearest bfloat16 of each float32, ties to even, as uint16."""
    bits = array.view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)


def from_bfloat16_bits(bits):
    return (bits.astype(numpy.uint32) << 16).view(numpy.float32)


class Buffer:
    """Numbers of one type in memory that NumPy owns. bfloat16 is stored as uint16."""

    def __init__(self, array, data_type):
        self.data_type = data_type
        self.array = array if data_type == "f32" else to_bfloat16_bits(array)

    @classmethod
    def empty(cls, shape, data_type):
        return cls(numpy.zeros(shape, dtype=numpy.float32), data_type)

    def rearranged(self, *axes):
        """A buffer of its own with the axes in another order in memory."""
        other = Buffer.__new__(Buffer)
        other.data_type = self.data_type
        other.array = numpy.ascontiguousarray(self.array.transpose(axes))
        return other

    def typed(self):
        """The memory as a NumPy array of its type; bfloat16 needs ml_dtypes."""
        if self.data_type == "f32":
            return self.array
        try:
            import ml_dtypes
        except ImportError as error:
            raise Unsupported("NumPy has bfloat16 by the package ml_dtypes, which is not there") \
                from error
        return self.array.view(ml_dtypes.bfloat16)

    def tensor(self):
        """The memory as a PyTorch tensor of its type."""
        import torch
        tensor = torch.from_numpy(self.array)
        return tensor if self.data_type == "f32" else tensor.view(torch.bfloat16)

    def values(self):
        """The numbers as float32, exactly."""
        return self.array if self.data_type == "f32" else from_bfloat16_bits(self.array)


class Operands:
    """N(0, 1) queries, keys and values of a case."""

    def __init__(self, case, data_type):
        random = numpy.random.default_rng(20260101)
        self.data_type = data_type

        def normal(shape):
            return Buffer(random.standard_normal(shape, dtype=numpy.float32), data_type)

        self.query = normal(case.query_shape)
        self.key = normal(case.key_shape)
        self.value = normal(case.key_shape)


class LayerOperands:
    """Embeddings, weights and biases of a layer, of the size that a trained one has."""

    def __init__(self, layer, data_type):
        random = numpy.random.default_rng(20260102)
        self.data_type = data_type
        width = layer.width

        def normal(scale, *shape):
            array = random.standard_normal(shape, dtype=numpy.float32) * numpy.float32(scale)
            return Buffer(array, data_type)

        self.embeddings = normal(1, layer.batch, layer.tokens, width)
        # PyTorch's layout: rows are outputs; queries, keys and values below each other.
        self.in_weight = normal(width**-0.5, 3 * width, width)
        self.in_bias = normal(0.25, 3 * width)
        self.out_weight = normal(width**-0.5, width, width)
        self.out_bias = normal(0.25, width)
