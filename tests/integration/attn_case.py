"""What the tests of the command-line client share: a server, and attn run against it."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy

from server_process import ServerProcess, clean_environment

ATTN_BINARY = os.environ["TEST_ATTN_BINARY"]
OK, SERVER_ERROR, USAGE_ERROR, EXAMPLE_DIFFERS = 0, 1, 2, 3


class _Shared:
    server = None


def start_server():
    _Shared.server = ServerProcess()


def stop_server():
    _Shared.server.end_well()


def server_address():
    return _Shared.server.grpc_address


def attn(*arguments, stdin=b"", stdout=subprocess.PIPE, address=None, environment=None):
    """Runs attn against the server; `stdin` is bytes or an open file."""
    standard_input = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    variables = {"ATTN_SERVER": address or server_address()} | (environment or {})
    return subprocess.run(
        [ATTN_BINARY, *arguments], **standard_input, stdout=stdout, stderr=subprocess.PIPE,
        timeout=300, check=False, env=clean_environment(**variables))


class AttnTestCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, array):
        """Writes the array as its name's ending says and returns the path."""
        path = self.folder / name
        if path.suffix == ".npy":
            numpy.save(path, array)
        elif path.suffix == ".csv":
            path.write_text("\n".join(",".join(map(str, row)) for row in array) + "\n")
        else:
            path.write_text(json.dumps(array.tolist()))
        return str(path)

    def succeed(self, *arguments, **how):
        """Runs attn, expects success, and returns what it printed."""
        finished = attn(*arguments, **how)
        self.assertEqual(finished.returncode, OK, finished.stderr.decode())
        self.assertEqual(finished.stderr, b"")
        return finished.stdout

    def succeed_json(self, *arguments, **how):
        answer = json.loads(self.succeed(*arguments, "--output", "json", **how))
        return {name: numpy.array(answer[name]) for name in answer if name != "execution"}

    def check_error(self, finished, code, *words):
        self.assertEqual(finished.returncode, code, finished.stderr.decode())
        self.assertEqual(finished.stdout, b"")
        text = finished.stderr.decode()
        self.assertEqual(text.count("\n"), 1, text)
        self.assertTrue(text.endswith("\n"))
        for word in words:
            self.assertIn(word, text)
