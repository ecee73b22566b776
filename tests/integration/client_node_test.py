"""The Node.js program in client/node, installed as its README.md says."""

import unittest

import client_program
import ctest_main
from toolchain import require


class ClientNodeTest(client_program.ProgramChecks, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        require("node", "--version")
        require("npm", "--version")
        cls.copy("node")
        install, cls.command = client_program.commands("node")
        # From npm's own cache where it can, so that a second run needs no network.
        cls.build(install, npm_config_prefer_offline="true")


if __name__ == "__main__":
    ctest_main.main()
