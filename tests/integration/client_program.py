"""What the tests of the programs in client/ share: a copy to build in, and what must be printed.

The commands of Go, Java and Node.js are read from their README.md: what stands there works.
"""

import os
import pathlib
import re
import shutil
import tempfile

import grpc
import numpy

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2, tensor_pb2
from server_process import ServerProcess
from toolchain import require_success, run, skip_unless_had

PROJECT = pathlib.Path(__file__).resolve().parents[2]

# Where the server is in the commands.
DOCUMENTED_ADDRESS = "127.0.0.1:8001"

# What every program sends.
WORDS = numpy.array([[1, 0], [0, 1], [1, 1]], dtype=float)

# Half of the last digit that is printed, and as much again for f32.
TOLERANCE = 1e-6


def attend(words):
    """Returns the output and the weights of attention of the words to each other."""
    weights = numpy.exp(words @ words.T / words.shape[1] ** 0.5)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights @ words, weights


def request():
    return service.SelfAttentionRequest(
        embeddings=tensor_pb2.Tensor(shape=WORDS.shape, floats=WORDS.ravel()),
        options=options_pb2.AttentionOptions(return_weights=True))


def commands(language):
    """The lines of the first shell block of client/LANGUAGE/README.md."""
    readme = (PROJECT / "client" / language / "README.md").read_text(encoding="utf-8")
    return re.search(r"^```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)[1].splitlines()


class ProgramRun:
    """How one program is built and run, by a class that derives from this and unittest.TestCase.

    Its setUpClass prepares what is to be run; it sets `command`, and `folder` to run it in.
    """

    @classmethod
    def copy(cls, language):
        """Makes `folder` a copy of client/LANGUAGE with the protos where the program seeks them."""
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        made = shutil.ignore_patterns("node_modules", "target", "v1")
        cls.folder = pathlib.Path(scratch.name, "client", language)
        shutil.copytree(PROJECT / "client" / language, cls.folder, ignore=made)
        shutil.copytree(PROJECT / "proto", pathlib.Path(scratch.name, "proto"))

    @classmethod
    def build(cls, line, **environment):
        require_success(run("sh", "-c", line, folder=cls.folder, **environment))

    def ask(self, server):
        assert DOCUMENTED_ADDRESS in self.command, self.command
        not_proxied = ",".join(filter(None, [os.environ.get("no_proxy"), "127.0.0.1"]))
        command = self.command.replace(DOCUMENTED_ADDRESS, server.grpc_address)
        return skip_unless_had(
            run("sh", "-c", command, folder=self.folder, no_proxy=not_proxied))


class ProgramChecks(ProgramRun):
    """The tests of a program in which three words attend to each other."""

    def test_prints_what_attention_gives(self):
        with ServerProcess() as server:
            ran = self.ask(server)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        lines = re.findall(r"output.*weights.*", ran.stdout)
        got = [[float(number) for number in re.findall(r"\d+\.\d{6}", line)] for line in lines]
        numpy.testing.assert_allclose(got, numpy.hstack(attend(WORDS)), rtol=0, atol=TOLERANCE)

    def test_says_in_one_sentence_what_the_server_refuses(self):
        with ServerProcess("--max-request-flops=1") as server:
            with self.assertRaises(grpc.RpcError) as refused:
                server.stub.SelfAttention(request(), timeout=60)
            ran = self.ask(server)
        self.assertNotEqual(ran.returncode, 0, ran.stdout)
        self.assertIn(refused.exception.details(), ran.stderr)
        self.assertNotRegex(ran.stderr, r"(?m)^(Traceback|\s+(at|File) )")
        self.assertNotIn("output", ran.stdout)
