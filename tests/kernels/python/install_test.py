"""pip installs the module from the tree, without network, and the installed one computes."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PACKAGE = pathlib.Path(__file__).resolve().parents[3] / "kernels/python"

PROGRAM = """
import numpy, attention_kernels
ones = numpy.ones((2, 5, 3), dtype="float32")
assert (attention_kernels.scaled_dot_product_attention(ones, ones, ones) == 1).all()
print(attention_kernels.__file__, attention_kernels.__version__)
"""


class InstallTest(unittest.TestCase):
    def test_pip_installs_it_without_network(self):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with tempfile.TemporaryDirectory() as folder:
            python = pathlib.Path(folder) / "bin/python"
            for command in (
                    [sys.executable, "-m", "venv", "--system-site-packages", folder],
                    [python, "-m", "pip", "install", "--quiet", "--no-index",
                     "--no-build-isolation", PACKAGE]):
                subprocess.run(command, check=True, env=environment, timeout=900)
            said = subprocess.run([python, "-B", "-c", PROGRAM], check=True, env=environment,
                                  capture_output=True, text=True, cwd=folder).stdout
            path, version = said.split()
            self.assertTrue(pathlib.Path(path).is_relative_to(folder), path)
            lists = (PACKAGE.parents[1] / "CMakeLists.txt").read_text(encoding="utf-8")
            self.assertIn(f"project(attention VERSION {version} ", lists)


if __name__ == "__main__":
    unittest.main()
