"""Which failures of a tool skip a test: those for want of a package, and no other."""

import shlex
import unittest

from toolchain import require_success, run

NOT_TO_BE_HAD = (
    'npm error code ENOTFOUND',
    'npm ERR! code E404',
    '[ERROR] Could not transfer artifact a:b:jar:1 from/to central',
    '[ERROR] No plugin found for prefix \'exec\' in the current project',
    'go: a/b@v1.0.0: Get "https://proxy.invalid/a/b/@v/v1.0.0.mod": dial tcp: no such host',
    'go: a/b@v1.0.0: reading https://proxy.invalid/a/b/@v/v1.0.0.zip: 404 Not Found',
    'go: a/b@v1.0.0: module lookup disabled by GOPROXY=off',
    'go: a/b@v1.0.0 requires go >= 1.99 (running go 1.26.8; GOTOOLCHAIN=local)')

FAULTS = (
    'npm error code ERESOLVE',
    '[ERROR] COMPILATION ERROR',
    'go: errors parsing go.mod: go.mod:3: unknown directive: requires',
    'verifying a/b@v1.0.0: checksum mismatch',
    'go: updates to go.mod needed')


def fail(text, code=1):
    return run("sh", "-c", f"echo {shlex.quote(text)} >&2; exit {code}", folder="/")


class ToolchainTest(unittest.TestCase):
    def test_what_cannot_be_had_skips_a_test(self):
        for text in NOT_TO_BE_HAD:
            with self.subTest(text), self.assertRaises(unittest.SkipTest):
                require_success(fail(text))

    def test_every_other_failure_fails_it(self):
        for text in FAULTS:
            with self.subTest(text), self.assertRaises(AssertionError):
                require_success(fail(text))

    def test_a_success_is_one_whatever_was_said(self):
        require_success(fail(NOT_TO_BE_HAD[0], code=0))


if __name__ == "__main__":
    unittest.main()
