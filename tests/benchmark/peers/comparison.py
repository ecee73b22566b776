"""One case after the other: prepare everybody, check their answers, time them in turn, report."""

import dataclasses
import sys

from . import agreement
from .amx_phase import AmxPhase
from .cases import Layer
from .operands import LayerOperands, Operands, Unsupported
from .report import make_row, table_line
from .rounds import median_milliseconds

# Which precisions of ours are timed for a type.
PRECISIONS = {"f32": ("f32", "bf16_x6"), "bf16": ("bf16",)}


def say(text):
    print(text, file=sys.stderr, flush=True)


@dataclasses.dataclass
class Comparison:
    """What is the same for all cases."""

    peers: object  # contestants.Peers
    ours: dict  # {kind of operands: factory of a contestant of ours from a precision}
    library_folder: object
    rounds: int
    seconds: float
    rows: list = dataclasses.field(default_factory=list)
    wrong: list = dataclasses.field(default_factory=list)  # names of ours, and where

    def __post_init__(self):
        self._phase = AmxPhase(self.library_folder)

    def compare(self, case, data_type, threads):
        """Adds and prints a row for each precision of ours."""
        operands = (LayerOperands if isinstance(case, Layer) else Operands)(case, data_type)
        ours = []
        for precision in PRECISIONS[data_type]:
            try:
                contestant = self.ours[type(case)](precision)
                ours.append((precision, contestant.prepare(case, operands, threads)))
            except Unsupported as reason:
                say(f"{case.shape} {data_type}: ours is left out: {reason}")
        if not ours:
            return
        peers = self.peers.prepare(case, operands, threads, say)
        everybody = [prepared for _, prepared in ours] + peers
        right = self._check(case, operands, everybody)
        cycles = [self._phase.cycles()]
        times = median_milliseconds(everybody, rounds=self.rounds, seconds=self.seconds)
        cycles.append(self._phase.cycles())
        agreeing = [each.name for each in peers if each.name in right]
        for precision, prepared in ours:
            wrong = prepared.name not in right
            if wrong:
                self.wrong.append(f"{prepared.name} {case.shape} {data_type}")
            ran = {**prepared.report(), "name": prepared.name, "requested_precision": precision,
                   "wrong": wrong}
            row = make_row(case, data_type, threads, ran, times, agreeing,
                           self._phase.word(cycles))
            self.rows.append(row)
            print(table_line(row), flush=True)

    def _check(self, case, operands, everybody):
        """The names of those whose answer is right; says who is wrong."""
        if isinstance(case, Layer):
            want = agreement.layer_reference(case, operands)
            errors = {each.name: agreement.layer_error_of(each, want) for each in everybody}
        else:
            want = agreement.reference(case, operands)
            errors = {each.name: agreement.error_of(case, each, want) for each in everybody}
        limit = agreement.bound(operands.data_type, case.width)
        for name, error in errors.items():
            if not error <= limit:
                say(f"WRONG: {name} {case.shape} {operands.data_type}: relative error {error:.2g}, "
                    f"want at most {limit:.2g}; not counted")
        return {name for name, error in errors.items() if error <= limit}
