"""Builds and runs go/attention_test.go: gRPC-Go against the server, where Go can be had."""

import pathlib
import shutil
import tempfile
import unittest

import ctest_main
import go_stubs
from server_process import ServerProcess
from toolchain import run

PROGRAM_FOLDER = pathlib.Path(__file__).with_name("go")
PROTO_FOLDER = pathlib.Path(__file__).resolve().parents[2] / "proto"
PROTOS = [f"attention/v1/{name}.proto" for name in ("tensor", "options", "attention_service")]
MODULE = "attention.test/integration"


class GoTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        for file in PROGRAM_FOLDER.iterdir():
            shutil.copy(file, self.folder)
        self.generate(go_stubs.prepare(self.folder))

    def generate(self, plugins):
        mapping = [f"M{proto}={MODULE}/attentionv1" for proto in PROTOS]
        options = ",".join([f"module={MODULE}", *mapping])
        generated = run(
            "protoc", f"--proto_path={PROTO_FOLDER}", *plugins, f"--go_out={options}:{self.folder}",
            f"--go-grpc_out={options}:{self.folder}", *PROTOS, folder=self.folder)
        self.assertEqual(generated.returncode, 0, generated.stderr)

    def test_the_go_program_passes(self):
        with ServerProcess() as server:
            tested = run("go", "test", "-count=1", "-v", "./...", folder=self.folder,
                         TEST_SERVER_ADDRESS=server.grpc_address)
        self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)
        self.assertNotIn("no tests to run", tested.stdout)


if __name__ == "__main__":
    ctest_main.main()
