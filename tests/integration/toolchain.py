"""Runs tools that not every machine has; a test is skipped where the one it needs is missing."""

import os
import subprocess
import unittest


def run(*command, folder, **environment):
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True,
        timeout=600, check=False)


def require(*command):
    """Skips the test where this command, which asks a tool for its version, does not run."""
    try:
        asked = run(*command, folder="/")
    except OSError:
        raise unittest.SkipTest(f"there is no {command[0]} here") from None
    if asked.returncode != 0:
        raise unittest.SkipTest(f"{command[0]} does not run here: {_end_of(asked)}")


def skip_unless_had(what, ran):
    """Skips the test if `ran`, which had `what` downloaded, failed."""
    if ran.returncode != 0:
        raise unittest.SkipTest(f"{what} cannot be had here: {_end_of(ran)}")


def _end_of(ran):
    return (ran.stdout + ran.stderr).strip()[-300:]
