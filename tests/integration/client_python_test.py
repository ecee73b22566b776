"""The Python program in client/python."""

import shlex
import sys
import unittest

import client_program


class ClientPythonTest(client_program.ProgramChecks, unittest.TestCase):
    folder = client_program.PROJECT
    command = shlex.join([
        sys.executable, "-B", "client/python/example.py", client_program.DOCUMENTED_ADDRESS])


if __name__ == "__main__":
    unittest.main()
