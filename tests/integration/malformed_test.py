"""Every malformed request gets the documented code and is told which field, and that is all."""

import os
import unittest

import grpc
import numpy

import malformed_batches
import malformed_bytes
import malformed_options
import malformed_values
import request_changes
from server_process import ServerProcess
from tensors import to_array

MIN_CASES = 200
REPETITIONS = 5
ROUNDS = 3
MAX_GROWTH_BYTES = 32 << 20

# Words that only our libraries use; callers get our own sentences.
LIBRARY_WORDS = ("protobuf", "absl", "dnnl", "std::", "CHECK", "bad_alloc", ".cc:")


class MalformedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = ServerProcess()
        cls.cases = [
            *malformed_bytes.cases(), *malformed_values.cases(), *malformed_options.cases(),
            *malformed_batches.cases()]

    @classmethod
    def tearDownClass(cls):
        cls.server.end_well()

    def refuse(self, case):
        """Sends the case and returns the error."""
        try:
            self.server.call(case.method, case.payload)
        except grpc.RpcError as error:
            return error
        return self.fail("the request was answered")

    def check_valid_requests(self):
        for method, request in request_changes.valid_requests().items():
            response = getattr(self.server.stub, method)(request, timeout=60)
            self.assertTrue(numpy.isfinite(to_array(response.output)).all())

    def test_the_requests_that_cases_are_made_of_are_valid(self):
        self.check_valid_requests()

    def test_each_gets_its_code_and_names_its_field(self):
        distinct = {(case.method, case.payload) for case in self.cases}
        self.assertEqual(len(distinct), len(self.cases))
        self.assertGreaterEqual(len(distinct), MIN_CASES)
        for case in self.cases:
            with self.subTest(case.name):
                error = self.refuse(case)
                text = error.details()
                self.assertIn(error.code().name, case.codes, text)
                self.assertIn(case.field, text)
                self.assertTrue(text and "\n" not in text and len(text) < 400, text)
                for word in LIBRARY_WORDS:
                    self.assertNotIn(word, text)

    def test_memory_stays_flat_and_the_server_answers_afterwards(self):
        for case in self.cases:
            self.refuse(case)
        # A leak grows in every round; what the allocator keeps for threads of gRPC, which come and
        # go with the machine's load, in some.
        growths = [self.growth_by_refusals() for _ in range(ROUNDS)]
        if not os.environ.get("TEST_SANITIZERS"):  # which keep freed memory on purpose
            self.assertLess(min(growths), MAX_GROWTH_BYTES, growths)
        self.check_valid_requests()

    def growth_by_refusals(self):
        before = self.server.resident_bytes()
        for _ in range(REPETITIONS):
            for case in self.cases:
                self.refuse(case)
        return self.server.resident_bytes() - before


if __name__ == "__main__":
    unittest.main()
