"""Go's generators of stubs, in the versions of client/go/README.md and kept for the next run."""

import os
import pathlib
import re
import shutil
import tempfile

from toolchain import require, require_success, run

_README = pathlib.Path(__file__).resolve().parents[2] / "client" / "go" / "README.md"


def prepare(folder):
    """Downloads the modules of the program in `folder`; returns protoc's options for Go's plugins.

    Skips the test where Go, a module or a generator cannot be had.
    """
    require("go", "version")
    require_success(run("go", "mod", "download", folder=folder))
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    readme = _README.read_text(encoding="utf-8")
    generators = re.findall(r"^go install (\S+)$", readme, re.MULTILINE)
    assert len(generators) == 2, generators
    return [_plugin(each, cache / "attention" / "go-generators") for each in generators]


def _plugin(generator, kept):
    """Installs under a name with the version, so that no other version is taken for it."""
    name = generator.rpartition("/")[2]
    command = name.partition("@")[0]
    if not (kept / name).exists():
        with tempfile.TemporaryDirectory() as folder:
            require_success(run("go", "install", generator, folder=folder, GOBIN=folder))
            kept.mkdir(parents=True, exist_ok=True)
            partial = kept / f".{name}.{os.getpid()}"
            shutil.move(pathlib.Path(folder, command), partial)
            partial.rename(kept / name)
    return f"--plugin={command}={kept / name}"
