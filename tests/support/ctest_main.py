"""unittest.main() for a program that ctest runs: where every test was skipped, so was the program.

For ctest exit code 0 is a pass, and a program that tested nothing looks like one that did. Needs
the property SKIP_RETURN_CODE 77.
"""

import sys
import unittest

_SKIPPED = 77


class _Result(unittest.TextTestResult):
    passed_count = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed_count += 1


class _Runner(unittest.TextTestRunner):
    resultclass = _Result


def skip(reason):
    """Ends the program before it has tested anything."""
    print("skipped:", reason)
    sys.exit(_SKIPPED)


def main():
    """Runs the tests of the program; does not return."""
    result = unittest.main(testRunner=_Runner, exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.passed_count:
        sys.exit(0)
    if not result.skipped:
        sys.exit("there is no test in this program")
    skip("no test of this program can run here")
