"""What a library must offer to be compared."""

import dataclasses
import typing

from .operands import Unsupported  # noqa: F401  What `prepare` raises.


@dataclasses.dataclass
class Prepared:
    """One contestant, ready to compute one case again and again."""

    name: str
    run: typing.Callable[[], typing.Any]  # computes once; what is timed
    output: typing.Callable[[typing.Any], typing.Any]  # from run's result to float32 values
    # What ran, from the last call, where the contestant can say: its name and precision.
    report: typing.Callable[[], dict] = dict


class Contestant:
    """A way to compute attention. `kinds` are those of the cases that it can be asked for."""

    name = ""
    kinds = ("prefill", "decode", "tiny")

    def prepare(self, case, operands, threads):
        """Returns a Prepared on the given buffers, or raises Unsupported with the reason.

        All that a model would do once (compiling, packing of weights) is done here.
        """
        raise NotImplementedError
