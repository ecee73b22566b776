"""The Python programs in client/python."""

import re
import shlex
import sys
import unittest

import client_program
from server_process import ServerProcess


def command(program):
    return shlex.join([
        sys.executable, "-B", f"client/python/{program}", client_program.DOCUMENTED_ADDRESS])


class ExampleTest(client_program.ProgramChecks, unittest.TestCase):
    folder = client_program.PROJECT
    command = command("example.py")


class DecodeTest(client_program.ProgramRun, unittest.TestCase):
    folder = client_program.PROJECT
    command = command("decode.py")

    def test_steps_give_what_all_tokens_at_once_give(self):
        with ServerProcess() as server:
            ran = self.ask(server)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        difference = re.search(r"by (\S+) at most$", ran.stdout)
        self.assertLess(float(difference[1]), 1e-6, ran.stdout)


if __name__ == "__main__":
    unittest.main()
