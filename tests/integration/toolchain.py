"""Runs tools that not every machine has; a test is skipped where the one it needs is missing."""

import os
import re
import subprocess
import unittest

# How npm, Maven and Go say that a registry was not reached or does not have a package; Go also that
# it is older than a package wants.
_NOT_TO_BE_HAD = re.compile(
    r"npm (?:error|ERR!) code "
    r"(?:E[45]\d\d|EAI_AGAIN|ECONN\w+|EHOSTUNREACH|ENETUNREACH|ENOTCACHED|ENOTFOUND|ETARGET|"
    r"E\w*TIMEDOUT|ERR_SOCKET_TIMEOUT)\b|"
    r"Could not (?:find|transfer) artifact|could not be resolved|resolv(?:e|ing) artifact|"
    r"No plugin found for prefix|in offline mode|"
    r"Get \"\S+\": |reading \S+: [45]\d\d |lookup disabled by GOPROXY=off|"
    r"requires go >= |toolchain not available")


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


def skip_unless_had(ran):
    """Skips the test if `ran` failed for want of a package that cannot be had; returns it."""
    said = ran.stdout + ran.stderr
    found = _NOT_TO_BE_HAD.search(said)
    if ran.returncode != 0 and found:
        raise unittest.SkipTest(f"a package cannot be had here: {said[found.start():][:200]}")
    return ran


def require_success(ran):
    """Skips the test likewise; fails it if `ran` failed for another reason."""
    skip_unless_had(ran)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _end_of(ran):
    return (ran.stdout + ran.stderr).strip()[-300:]
