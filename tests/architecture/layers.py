"""Who may include whom: the layers of this project as a table, and the check that reads them.

Layers are separate build targets, but a header needs no link: only reading every include shows
that none goes the wrong way.
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Layer:
    """A set of files and what they may include. The first layer that a path matches is its own."""

    name: str
    paths: str  # a regular expression for paths from the top of the tree
    project: tuple  # regular expressions for the project's own headers
    libraries: tuple  # names from LIBRARIES; the standard library is open to all
    reason: str


# Where a header of a library is recognized by. Anything else, but STANDARD, is an unknown library.
LIBRARIES = {
    "abseil": r"absl/",
    "benchmark": r"benchmark/",
    "civetweb": r"CivetServer\.h$|civetweb\.h$",
    "CLI11": r"CLI/",
    "GoogleTest": r"(gtest|gmock)/",
    "generated proto": r"attention/v1/[a-z_]+(\.grpc)?\.pb\.h$|grpc/health/v1/",
    "gRPC": r"grpc/|grpcpp/",
    "Highway": r"hwy/",
    "json": r"nlohmann/",
    "nanobind": r"nanobind/",
    "oneDNN": r"oneapi/|dnnl",
    "OpenMP": r"omp\.h$",
    "prometheus": r"prometheus/",
    "protobuf": r"google/(protobuf|rpc)/",
    "spdlog": r"spdlog/",
}

# Headers of the C++ library (no dot) and of the operating system.
STANDARD = re.compile(
    r"[a-z_0-9]+$|(sys|netinet|arpa|linux)/[a-z_0-9]+\.h$|"
    r"(cpuid|dirent|dlfcn|fcntl|immintrin|link|malloc|netdb|poll|pthread|sched|signal|spawn|"
    r"termios|time|ucontext|unistd)\.h$"
)

_OWN_TESTS = (r"tests/", r"kernels/", r"server/", r"client/")

LAYERS = (
    Layer(
        "kernels/onednn", r"kernels/onednn/", (r"kernels/",),
        ("abseil", "Highway", "oneDNN", "OpenMP"),
        "kernels are pure computation"),
    Layer(
        "kernels/python", r"kernels/python/", (r"kernels/python/", r"kernels/[^/]+\.h$"),
        ("abseil", "nanobind"),
        "the Python module is a caller of the kernels' public headers"),
    Layer(
        "kernels", r"kernels/", (r"kernels/(?!python/)",), ("abseil", "Highway"),
        "kernels are pure computation, and only kernels/onednn/ knows the matrix library"),
    Layer(
        "server/core", r"server/core/", (r"server/core/", r"kernels/[^/]+\.h$"), ("abseil",),
        "server/core is the service without its transport, metrics or matrix library"),
    Layer(
        "server, its metrics and HTTP part",
        r"server/(prometheus_|http_|main\.)",
        (r"server/", r"kernels/[^/]+\.h$"),
        ("abseil", "generated proto", "gRPC", "protobuf", "prometheus", "civetweb", "CLI11", "json",
         "spdlog"),
        "the server reaches kernels only through their public headers"),
    Layer(
        "server/layers", r"server/layers/",
        (r"server/layers/", r"server/core/", r"kernels/[^/]+\.h$"),
        ("abseil", "json"),
        "layers come from files, whoever names them"),
    Layer(
        "server", r"server/", (r"server/", r"kernels/[^/]+\.h$"),
        ("abseil", "generated proto", "gRPC", "protobuf", "CLI11", "json", "spdlog"),
        "only server/prometheus_*, server/http_* and main know prometheus, and the server reaches "
        "kernels only through their public headers"),
    Layer(
        "client", r"client/", (r"client/",),
        ("abseil", "generated proto", "gRPC", "protobuf", "CLI11", "json"),
        "the client knows the server by its protocol alone"),
    Layer(
        "tests", r"tests/", _OWN_TESTS, tuple(LIBRARIES),
        "tests may include anything"),
)

# Protocol files import only each other and the well-known types.
PROTO_IMPORTS = re.compile(r"attention/v1/[a-z_]+\.proto$|google/protobuf/")

_CPP_EXTENSIONS = (".h", ".cc", ".cpp", ".hpp", ".inc")
_INCLUDE = re.compile(r"^\s*#\s*include\s*(.*)$")
_SPELLED = re.compile(r"[<\"]([^>\"]+)[>\"]")
_IMPORT = re.compile(r"^\s*import\s+(?:public\s+|weak\s+)?\"([^\"]+)\"\s*;")
_PROJECT = re.compile(r"(kernels|server|client|tests)/")


@dataclasses.dataclass
class Scan:
    """What a walk over the tree found."""

    files_by_layer: dict
    include_count: int = 0
    violations: list = dataclasses.field(default_factory=list)


def scan(files):
    """Checks the includes and proto imports of `files` (SourceFiles of one whole tree)."""
    paths = {file.path for file in files}
    result = Scan({layer.name: 0 for layer in LAYERS} | {"proto": 0})
    for file in files:
        if file.extension == ".proto":
            result.files_by_layer["proto"] += 1
            _scan_proto(file, result)
        elif file.extension in _CPP_EXTENSIONS:
            layer = next((each for each in LAYERS if re.match(each.paths, file.path)), None)
            if layer is None:
                result.violations.append(
                    f"{file.path}: C++ lives in kernels/, server/, client/ or tests/; move it")
                continue
            result.files_by_layer[layer.name] += 1
            _scan_cpp(file, layer, paths, result)
    return result


def _scan_proto(file, result):
    for number, line in enumerate(file.lines, 1):
        match = _IMPORT.match(line)
        if not match:
            continue
        result.include_count += 1
        if not PROTO_IMPORTS.match(match.group(1)):
            result.violations.append(
                f"{file.path}:{number}: imports {match.group(1)}; protocol files import only each "
                "other and google/protobuf/")


def _scan_cpp(file, layer, paths, result):
    for number, line in enumerate(file.lines, 1):
        match = _INCLUDE.match(line)
        if not match:
            continue
        result.include_count += 1
        spelled = _SPELLED.match(match.group(1))
        problem = (
            _judge(spelled.group(1), layer, paths)
            if spelled
            else "spell the header out: a macro hides what is included")
        if problem:
            result.violations.append(f"{file.path}:{number}: {problem}")


def _judge(header, layer, paths):
    """Returns what is wrong with `layer` including `header`, or None."""
    if _PROJECT.match(header):
        if not any(re.match(pattern, header) for pattern in layer.project):
            return f"{layer.name} must not include {header}: {layer.reason}"
        if header not in paths and f"{header}.in" not in paths:  # which CMake makes the header of
            return f"{header} does not exist; include by the path from the top of the tree"
        return None
    for library, pattern in LIBRARIES.items():
        if re.match(pattern, header):
            if library in layer.libraries:
                return None
            return f"{layer.name} must not include {header} ({library}): {layer.reason}"
    if STANDARD.match(header):
        return None
    return (
        f"{header} is of no known library; include own headers by the path from the top, and name "
        "a new library in LIBRARIES of tests/architecture/layers.py, with the layers it is for")
