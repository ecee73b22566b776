"""The Java program in client/java, built as its README.md says."""

import unittest

import client_program
import ctest_main
from toolchain import require


class ClientJavaTest(client_program.ProgramChecks, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        require("javac", "--version")
        require("mvn", "--version")
        cls.copy("java")
        (cls.command,) = client_program.commands("java")


if __name__ == "__main__":
    ctest_main.main()
