"""The project's own files, as every check in this folder sees them."""

import dataclasses
import fnmatch
import os
import pathlib


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """A text file of the project."""

    path: str  # from the top of the tree, with forward slashes
    text: str

    @property
    def name(self):
        return self.path.rsplit("/", 1)[-1]

    @property
    def extension(self):
        return os.path.splitext(self.name)[1]

    @property
    def lines(self):
        return self.text.split("\n")[: -1 if self.text.endswith("\n") else None]


def read_tree(root):
    """Returns the SourceFiles below `root`, sorted by path.

    Leaves out version control, what .gitignore names, and files that are not text.
    """
    root = pathlib.Path(root)
    ignored = _ignored_patterns(root)
    files = []
    for folder, folder_names, file_names in os.walk(root):
        relative = pathlib.PurePath(os.path.relpath(folder, root))
        folder_names[:] = [
            name for name in folder_names if not _is_ignored(relative / name, ignored)
        ]
        for name in file_names:
            path = relative / name
            if _is_ignored(path, ignored):
                continue
            try:
                text = (root / path).read_text(encoding="utf-8")
            except (UnicodeDecodeError, FileNotFoundError):
                continue  # Data, or a link that leads nowhere.
            files.append(SourceFile(path.as_posix(), text))
    return sorted(files, key=lambda file: file.path)


def _ignored_patterns(root):
    listing = root / ".gitignore"
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    return ["/.git"] + [line.rstrip("/") for line in lines if line and not line.startswith("#")]


def _is_ignored(path, patterns):
    for pattern in patterns:
        if pattern.startswith("/"):
            if path.as_posix() == pattern[1:]:
                return True
        elif fnmatch.fnmatch(path.name, pattern):
            return True
    return False
