"""A server that loads layers for long lives, is not ready, and can be told to end."""

import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

import numpy

import layer_files
from server_process import SERVER_BINARY, clean_environment, free_address, get


class LayersStartTest(unittest.TestCase):
    def test_a_start_that_takes_long_lives_and_can_be_ended(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        directory = pathlib.Path(folder.name)
        width, count = 512, 300  # for a second or so
        numbers = numpy.zeros((width, width))
        layer_files.write_layer(
            directory, "layer0", {"format": "plain", "head_count": 4},
            {f"{name}.weight": numbers for name in ("query", "key", "value", "output")})
        for index in range(1, count):
            folder = directory / f"layer{index}"
            folder.mkdir()
            for name in ("layer.json", "weights.safetensors"):
                os.link(directory / "layer0" / name, folder / name)
        http_address = free_address()
        process = subprocess.Popen(
            [SERVER_BINARY, "--grpc-address=127.0.0.1:0", f"--http-address={http_address}",
             f"--layers-directory={directory}", "--max-layer-bytes=8GiB"],
            stderr=subprocess.PIPE, text=True, env=clean_environment())
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        end = time.monotonic() + 60
        while True:
            try:
                if get(http_address, "/livez")[0] == 200:
                    break
            except OSError:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.005)
        self.assertEqual(get(http_address, "/readyz")[0], 503)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, log)
        self.assertIn("stopped before it served", log)
        self.assertNotIn("layers loaded", log)


if __name__ == "__main__":
    unittest.main()
