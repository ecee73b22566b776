"""What ctest is told of a program by ctest_main.py: passed, failed or skipped."""

import pathlib
import subprocess
import sys
import unittest

PASSES = "def test_passes(self): pass"
FAILS = "def test_fails(self): self.fail()"
SKIPPED = "def test_skipped(self): self.skipTest('not here')"
SKIPPED_AT_ONCE = "@classmethod\n  def setUpClass(cls): raise unittest.SkipTest('not here')"

PROGRAM = """
import sys, unittest
sys.path.insert(0, sys.argv.pop(1))
import ctest_main
class Test(unittest.TestCase):
  {}
ctest_main.main()
"""


def exit_code(*members):
    program = PROGRAM.format("\n  ".join(members) or "pass")
    folder = pathlib.Path(__file__).parent
    return subprocess.run([sys.executable, "-B", "-c", program, folder], capture_output=True,
                          check=False, timeout=60).returncode


class CtestMainTest(unittest.TestCase):
    def test_a_program_passes_if_one_test_did(self):
        self.assertEqual(exit_code(PASSES), 0)
        self.assertEqual(exit_code(PASSES, SKIPPED), 0)

    def test_a_program_fails_if_one_test_did(self):
        self.assertEqual(exit_code(FAILS, PASSES), 1)
        self.assertEqual(exit_code(FAILS, SKIPPED), 1)

    def test_a_program_is_skipped_if_every_test_was(self):
        self.assertEqual(exit_code(SKIPPED), 77)
        self.assertEqual(exit_code(SKIPPED_AT_ONCE, PASSES), 77)

    def test_a_program_without_tests_fails(self):
        self.assertEqual(exit_code(), 1)


if __name__ == "__main__":
    unittest.main()
