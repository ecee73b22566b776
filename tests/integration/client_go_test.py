"""The Go program in client/go, built as its README.md says."""

import shlex
import unittest

import client_program
import ctest_main
import go_stubs


class ClientGoTest(client_program.ProgramChecks, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.copy("go")
        plugins = go_stubs.prepare(cls.folder)
        *_, generate, cls.command = client_program.commands("go")
        cls.build(f"{generate} {shlex.join(plugins)}")


if __name__ == "__main__":
    ctest_main.main()
