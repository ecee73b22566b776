"""The contract of proto/attention/v1 in float64 numpy: the right answer to a request, and how far
a computation in the request's type may be from it.

Written from the protocol's comments alone and sharing nothing with the server.
"""

from contract.agreement import differences, disagreements
from contract.answers import Answer, answer, permitted_precisions
from contract.bounded import Bounded
from contract.rotary import apply_rotary_embedding

__all__ = [
    "Answer", "Bounded", "answer", "apply_rotary_embedding", "differences", "disagreements",
    "permitted_precisions",
]
