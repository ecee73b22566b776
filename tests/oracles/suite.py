"""Draws recipes, asks the library and the server, and compares."""

import dataclasses
import time
from collections.abc import Callable

import hypothesis


@dataclasses.dataclass(frozen=True)
class Suite:
    name: str
    library: str
    recipes: object  # a strategy of hypothesis
    question: Callable  # of a recipe
    count: int  # of cases in a full run
    can_be_replayed: bool = True  # by a server that was started with nothing but the binary


class Disagreement(AssertionError):
    """Server, contract and library do not say the same."""


@dataclasses.dataclass
class Verdict:
    count: int
    seconds: float
    failure: Exception | None


def questions(suite, count, seed, receive):
    """Hands `count` different recipes and their questions to `receive`.

    Hypothesis draws the same recipes from the same seed. If `receive` raises, it looks for a
    smaller recipe for which it does, and raises that one's exception.
    """

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count, deadline=None, database=None, print_blob=False,
        report_multiple_bugs=False,
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(suite.recipes)
    def draw(recipe):
        receive(recipe, suite.question(recipe))

    draw()


def judge(suite, server, count, seed):
    """Compares `count` cases. Whatever goes wrong is the Verdict's failure."""
    judged, failed = 0, False

    def ask(recipe, question):
        nonlocal judged, failed
        try:
            compare(recipe, question)
        except Disagreement:
            failed = True  # what follows is the search for a smaller case
            raise
        judged += not failed

    def compare(recipe, question):
        try:
            response = getattr(server.stub, question.method)(question.request, timeout=60)
        except Exception as error:
            raise Disagreement(f"{recipe}\n  the server refuses it: {error}") from None
        problems = question.problems(response)
        if problems:
            raise Disagreement("\n  ".join([str(recipe), *problems]))

    start, failure = time.monotonic(), None
    try:
        questions(suite, count, seed, ask)
    except Exception as error:  # whatever it is, the other suites go on
        failure = error
    return Verdict(judged, time.monotonic() - start, failure)
