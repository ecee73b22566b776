"""Rules of style that have a reason and can be checked without compiling."""

import re

# A file that fits the eye is understood at once; past this it holds more than one idea.
MAX_LINES = 400

# Two files side by side on one screen. Shell commands are not measured: broken ones read worse.
MAX_COLUMNS = 100

# The top of the tree is the project's table of contents. Dotfiles, which tools want there, are not
# of it.
TOP_LEVEL = {
    "CHANGELOG.md", "CMakeLists.txt", "CMakePresets.json", "Dockerfile", "LICENSE", "README.md",
    "client", "deploy", "docs", "kernels", "proto", "server", "tests",
}

_CODE_EXTENSIONS = {".h", ".cc", ".proto", ".py", ".go", ".java", ".js", ".cmake"}

# Machines differ; a path of one of them works on no other.
_MACHINE_PATH = re.compile(r"(?<![\w.}])/(?:home|work|root|Users)/[\w.-]")

# Mirrors and registries are the machine's own choice, made in its package configuration.
_REGISTRY_HOST = re.compile(
    r"\b(?:deb\.debian\.org|(?:security|snapshot|archive|ftp)(?:\.[a-z]+)*\.(?:debian|ubuntu)\.\w+|"
    r"(?:test\.)?pypi\.(?:org|python\.org)|files\.pythonhosted\.org|download\.pytorch\.org|"
    r"(?:proxy|sum)\.golang\.org|goproxy\.\w+|registry\.npmjs\.org|(?:static\.|index\.)?crates\.io|"
    r"repo1?\.maven\.(?:org|apache\.org))")

# An intention belongs into the tracker, where somebody looks.
_UNFINISHED = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b")

_GUARD = re.compile(r"^#(?:ifndef\s+(\w+)|if\s+defined\((\w+)\)\s*==)", re.MULTILINE)


def check(files):
    """Returns one sentence for each violation in `files`, the SourceFiles of one whole tree."""
    violations = []
    for file in files:
        violations += _check_size(file)
        violations += _check_text(file)
        violations += _check_header_guard(file)
    violations += _check_top_level(files)
    violations += _check_version(files)
    violations += _check_every_source_is_built(files)
    return violations


def _is_code(file):
    return file.extension in _CODE_EXTENSIONS or file.name == "CMakeLists.txt"


def _is_script(file):
    return file.extension == ".sh" or file.text.startswith("#!")


def _check_size(file):
    violations = []
    if (_is_code(file) or _is_script(file)) and len(file.lines) > MAX_LINES:
        violations.append(
            f"{file.path}: {len(file.lines)} lines, want <= {MAX_LINES}: split it by idea")
    for number, line in enumerate(file.lines, 1):
        if _is_code(file) and len(line) > MAX_COLUMNS:
            violations.append(
                f"{file.path}:{number}: {len(line)} columns, want <= {MAX_COLUMNS}: wrap it")
    return violations


def _check_text(file):
    violations = []
    for number, line in enumerate(file.lines, 1):
        if _MACHINE_PATH.search(line):
            violations.append(
                f"{file.path}:{number}: names a path of one machine: take it from an argument or "
                "the environment")
        if _REGISTRY_HOST.search(line):
            violations.append(
                f"{file.path}:{number}: names a package registry: leave it to the machine's "
                "configuration")
        if _UNFINISHED.search(line):
            violations.append(
                f"{file.path}:{number}: marks unfinished work: finish it or file an issue")
    return violations


def _check_header_guard(file):
    if file.extension != ".h":
        return []
    want = "ATTENTION_" + re.sub(r"[^A-Za-z0-9]", "_", file.path).upper() + "_"
    match = _GUARD.search(file.text)
    got = (match.group(1) or match.group(2)) if match else "none"
    if got == want:
        return []
    return [f"{file.path}: header guard {got}, want {want}: two headers must never share one"]


def _check_top_level(files):
    tops = sorted({file.path.split("/")[0] for file in files} - TOP_LEVEL)
    return [
        f"{top}: not of the top level's fixed set; move it into the folder that it belongs to"
        for top in tops
        if not top.startswith(".")
    ]


def _check_version(files):
    """The image's label has to repeat the version: the Dockerfile knows no other."""
    texts = {file.path: file.text for file in files}
    want = re.search(r"(?m)^project\(.*\bVERSION ([\d.]+)", texts.get("CMakeLists.txt", ""))
    got = re.search(r"(?m)^ARG VERSION=(.*)", texts.get("Dockerfile", ""))
    if not {"CMakeLists.txt", "Dockerfile"} <= set(texts) or (want and got and want[1] == got[1]):
        return []
    return [f"Dockerfile: version {got and got[1]}, want {want and want[1]} as in CMakeLists.txt"]


def _check_every_source_is_built(files):
    """A source that no CMakeLists.txt names is never compiled, a test never run.

    Named means: its path from the list's folder, or the path without extension or without _test, as
    in foreach(name IN ITEMS codec) ... ${name}_test.cc.
    """
    lists = {
        file.path.rpartition("/")[0]: file.text for file in files if file.name == "CMakeLists.txt"
    }
    violations = []
    for file in files:
        is_test = file.path.startswith("tests/") and (
            file.name.endswith("_test.py") or file.name.startswith("test_"))
        if file.extension == ".cc" or (file.extension == ".py" and is_test):
            if not _is_named(file, lists):
                violations.append(
                    f"{file.path}: no CMakeLists.txt in its folder or above names it, so it is "
                    "never built: add it or delete it")
    return violations


def _is_named(file, lists):
    parts = file.path.split("/")
    for depth in range(1, len(parts)):
        text = lists.get("/".join(parts[:depth]))
        if text is None:
            continue
        path = "/".join(parts[depth:])
        stem = path.rpartition(".")[0]
        for spelling in {path, stem, stem.removesuffix("_test")}:
            if re.search(rf"(?<![\w/.-]){re.escape(spelling)}(?![\w/-])", text):
                return True
    return False
