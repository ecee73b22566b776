"""Writes a part of the generated questions, with the libraries' answers, to vectors/."""

import importlib.metadata

import vectors
from suite import questions

SEED = 20170612
_CASES_OF_A_SUITE = 12
_DRAWN_FOR_THEM = 800
_PACKAGES = {
    "PyTorch": ["torch", "numpy"],
    "Formulas": ["torch", "numpy"],
    "Keras": ["keras", "torch", "numpy"],
    "ONNX": ["onnx", "numpy"],
}

# So that all of them are less than a megabyte.
_MAX_REQUEST_BYTES = 2500
_MAX_NUMBERS = 350


def record(suites):
    for library, packages in _PACKAGES.items():
        cases = []
        for suite in suites:
            if suite.library == library and suite.can_be_replayed:
                cases += _cases(suite)
        versions = {name: importlib.metadata.version(name) for name in packages}
        path = vectors.write(library, versions, SEED, cases)
        print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")


def _cases(suite):
    """Small ones, but no trivial ones, spread over what is drawn."""
    kept = []

    def keep(_, question):
        numbers = sum(each.array.size for each in question.expected.values())
        if question.request.ByteSize() <= _MAX_REQUEST_BYTES and 8 <= numbers <= _MAX_NUMBERS:
            kept.append(vectors.to_case(suite.name, question))

    questions(suite, _DRAWN_FOR_THEM, SEED, keep)
    step = max(1, len(kept) // _CASES_OF_A_SUITE)
    return kept[::step][:_CASES_OF_A_SUITE]
