"""oneDNN Graph's attention, of the packaged oneDNN that the kernels use as well."""

import ctypes
import weakref

from .contestant import Contestant, Prepared, Unsupported
from .operands import Buffer


class _Shape(ctypes.Structure):  # OneDnnGraphSdpaShape
    _fields_ = [(name, ctypes.c_int64) for name in (
        "batch", "query_head_count", "key_value_head_count", "query_count", "key_count", "width",
        "is_bf16", "is_causal")]


class _Arrays(ctypes.Structure):  # OneDnnGraphSdpaArrays
    _fields_ = [(name, ctypes.c_void_p) for name in ("query", "key", "value", "output")]


class OneDnnGraphAttention(Contestant):
    """The library of tests/benchmark/peers/onednn_graph_sdpa.h."""

    name = "onednn_graph"

    def __init__(self, library_folder):
        self._library = ctypes.CDLL(library_folder / "libonednn_graph_sdpa.so")
        self._library.onednn_graph_sdpa_make.restype = ctypes.c_void_p
        self._library.onednn_graph_sdpa_run.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        self._library.onednn_graph_sdpa_free.argtypes = (ctypes.c_void_p,)

    def prepare(self, case, operands, threads):
        shape = _Shape(case.batch, case.query_heads, case.key_shape[1], case.queries,
                       case.key_shape[2], case.width, operands.data_type == "bf16", case.causal)
        reason = ctypes.create_string_buffer(200)
        attention = self._library.onednn_graph_sdpa_make(
            ctypes.byref(shape), ctypes.c_int(threads), reason, ctypes.c_int64(len(reason)))
        if attention is None:
            raise Unsupported(reason.value.decode())
        output = Buffer.empty(case.query_shape, operands.data_type)
        arrays = _Arrays(*(each.array.ctypes.data for each in (
            operands.query, operands.key, operands.value, output)))
        address = ctypes.byref(arrays)
        compute = self._library.onednn_graph_sdpa_run

        def run(_keep=(arrays, operands, output)):
            if compute(attention, address) != 0:
                raise Unsupported("failed")

        weakref.finalize(run, self._library.onednn_graph_sdpa_free, attention)
        run()
        return Prepared(self.name, run, lambda _: output.values())
