"""Who takes part: ours, and every peer that is there."""

import importlib

from .onednn_graph import OneDnnGraphAttention
from .operands import Unsupported

# Modules of this package by the Python package that they are about.
_PYTHON_PEERS = {
    "pytorch": "torch",
    "pytorch_layer": "torch",
    "onnx_runtime": "onnxruntime",
    "openvino_runtime": "openvino",
}


class Peers:
    """The other libraries. `missing` says what could not be had, and why."""

    def __init__(self, library_folder, pattern):
        self.missing = {}
        self._said = set()
        self._all = [OneDnnGraphAttention(library_folder)]
        for module, package in _PYTHON_PEERS.items():
            try:
                self._all += importlib.import_module(f".{module}", __package__).CONTESTANTS
            except ImportError as error:
                self.missing[package] = str(error)
        self._all = [each for each in self._all if pattern.search(each.name)]

    def prepare(self, case, operands, threads, say):
        """A Prepared of each that offers the case. Says why another does not, once."""
        prepared = []
        for peer in self._all:
            if case.kind not in peer.kinds:
                continue
            try:
                prepared.append(peer.prepare(case, operands, threads))
            except Unsupported as reason:
                line = f"{peer.name} does not compute {operands.data_type} {case.kind}"
                if (line, str(reason)) not in self._said:
                    self._said.add((line, str(reason)))
                    say(f"{line} ({case.shape}): {reason}")
        return prepared


def versions():
    """{package: version} of the peers' packages that are there."""
    found = {}
    for package in ("numpy", "torch", "onnxruntime", "openvino"):
        try:
            found[package] = importlib.import_module(package).__version__
        except ImportError:
            pass
    return found
