"""The contract of proto/attention/v1 in float64 numpy: the right answer to a request, and how far
a computation in the request's type may be from it.

Written from the protocol's comments alone and sharing nothing with the server.
"""

from contract.agreement import array_differences, asked_for, differences, disagreements
from contract.answers import Answer, answer, permitted_precisions
from contract.bounded import Bounded
from contract.merging import merged_states
from contract.rotary import apply_rotary_embedding

__all__ = [
    "Answer", "Bounded", "answer", "apply_rotary_embedding", "array_differences", "asked_for",
    "differences", "disagreements", "merged_states", "permitted_precisions",
]
