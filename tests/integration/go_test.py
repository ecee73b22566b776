"""Builds and runs go/attention_test.go: gRPC-Go against the server, where Go can be had."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from server_process import ServerProcess

# Code generators, at versions that go with go/go.mod.
GENERATORS = (
    "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12",
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
)
PROGRAM_FOLDER = pathlib.Path(__file__).with_name("go")
PROTO_FOLDER = pathlib.Path(__file__).resolve().parents[2] / "proto"
PROTOS = [f"attention/v1/{name}.proto" for name in ("tensor", "options", "attention_service")]
MODULE = "attention.test/integration"


def run(*command, folder, **environment):
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True,
        timeout=600, check=False)


class GoTest(unittest.TestCase):
    def setUp(self):
        if shutil.which("go") is None:
            self.skipTest("there is no Go here")
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        for file in PROGRAM_FOLDER.iterdir():
            shutil.copy(file, self.folder)
        modules = run("go", "mod", "download", folder=self.folder)
        if modules.returncode != 0:
            self.skipTest("Go modules cannot be had here: " + modules.stderr.strip()[-200:])
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
        self.generators = cache / "attention" / "go-generators"
        for generator in GENERATORS:
            self.install(generator)
        self.generate()

    def install(self, generator):
        """Installs into a folder of its version, so that no other version is taken for it."""
        name = generator.rpartition("/")[2]
        if (self.generators / name).exists():
            return
        with tempfile.TemporaryDirectory() as folder:
            installed = run("go", "install", generator, folder=folder, GOBIN=folder)
            if installed.returncode != 0:
                self.skipTest(f"{generator} cannot be had here: {installed.stderr.strip()[-200:]}")
            self.generators.mkdir(parents=True, exist_ok=True)
            partial = self.generators / f".{name}.{os.getpid()}"
            shutil.move(pathlib.Path(folder, name.partition("@")[0]), partial)
            partial.rename(self.generators / name)

    def generate(self):
        mapping = [f"M{proto}={MODULE}/attentionv1" for proto in PROTOS]
        options = ",".join([f"module={MODULE}", *mapping])
        plugins = [
            f"--plugin={name.partition('@')[0]}={self.generators / name}"
            for name in (generator.rpartition("/")[2] for generator in GENERATORS)]
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
    unittest.main()
