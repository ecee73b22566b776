"""Golden vectors: what PyTorch, Keras and ONNX answered once, asked of the server again."""

import pathlib
import unittest

import vectors
from server_process import ServerProcess

_PACKAGE_LIST = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "python-packages.list"


def setUpModule():
    global server
    server = ServerProcess()


def tearDownModule():
    server.end_well()


class ReplayTest(unittest.TestCase):
    def test_the_server_agrees_with_what_libraries_answered(self):
        for file in vectors.read_all():
            for number, case in enumerate(file["cases"]):
                with self.subTest(library=file["library"], suite=case["suite"], case=number):
                    question = vectors.to_question(file["library"], case)
                    response = getattr(server.stub, question.method)(question.request, timeout=60)
                    self.assertEqual(question.problems(response), [])

    def test_there_are_vectors_of_every_library(self):
        counts = {file["library"]: len(file["cases"]) for file in vectors.read_all()}
        self.assertEqual(set(counts), {"PyTorch", "Formulas", "Keras", "ONNX"})
        self.assertTrue(all(count >= 20 for count in counts.values()), counts)

    def test_an_answer_that_is_off_is_noticed(self):
        file = vectors.read_all()[0]
        question = vectors.to_question(file["library"], file["cases"][0])
        response = getattr(server.stub, question.method)(question.request, timeout=60)
        question.expected["output"].array = question.expected["output"].array + 0.01
        self.assertNotEqual(question.problems(response), [])

    def test_the_vectors_are_of_the_versions_that_the_oracles_use(self):
        listed = _PACKAGE_LIST.read_text(encoding="utf-8")
        for file in vectors.read_all():
            for package, version in file["versions"].items():
                self.assertIn(f"{package}=={version}", listed)


if __name__ == "__main__":
    unittest.main()
