"""The shell scripts are sound to shellcheck (.shellcheckrc has what it shall not say)."""

import pathlib
import subprocess
import unittest

import source_tree

PROJECT_FOLDER = pathlib.Path(__file__).resolve().parents[2]


def scripts(files):
    return [file.path for file in files
            if file.text.startswith(("#!/bin/sh", "#!/usr/bin/env bash"))
            or "# shellcheck shell=" in file.text.partition("\n\n")[0]]


class ShellTest(unittest.TestCase):
    def test_shellcheck_has_nothing_to_say(self):
        found = scripts(source_tree.read_tree(PROJECT_FOLDER))
        self.assertGreater(len(found), 15, "the walk found next to nothing")
        checked = subprocess.run(["shellcheck", *found], cwd=PROJECT_FOLDER, capture_output=True,
                                 text=True, check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_it_sees_a_planted_fault(self):
        checked = subprocess.run(["shellcheck", "-"], input="#!/bin/sh\ncd $1\n",
                                 capture_output=True, text=True, check=False)
        self.assertIn("SC2086", checked.stdout)


if __name__ == "__main__":
    unittest.main()
