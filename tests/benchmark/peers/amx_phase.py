"""Whether loads of AMX tiles are fast at the moment: on virtual machines they have slow phases."""

import ctypes


class AmxPhase:
    """Asks the probe of tests/benchmark/probes/probes.h."""

    def __init__(self, library_folder):
        library = ctypes.CDLL(library_folder / "libattention_probes.so")
        self._cycles = library.attention_probe_tile_load_cycles
        self._slow_cycles = library.attention_probe_slow_tile_load_cycles
        self._cycles.restype = self._slow_cycles.restype = ctypes.c_double

    def cycles(self):
        """Of one tile load, now; 0 without AMX."""
        return self._cycles()

    def word(self, cycles):
        """What several measurements say together: "fast", "slow", or "none" without AMX."""
        mean = sum(cycles) / len(cycles)
        if mean == 0:
            return "none"
        return "slow" if mean >= self._slow_cycles() else "fast"
