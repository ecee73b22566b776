"""The tree keeps its layers; and the check that says so sees a planted include of every kind."""

import pathlib
import tempfile
import unittest

import layers
import source_tree

PROJECT_FOLDER = pathlib.Path(__file__).resolve().parents[2]

# A small tree in which every layer includes all that it may.
LEGAL = {
    "kernels/attend.h": '#include <vector>\n#include "absl/status/status.h"\n',
    "kernels/attend.cc": '#include "kernels/attend.h"\n#include <sys/mman.h>\n',
    "kernels/elementwise/exp.cc": '#include "hwy/highway.h"\n#include "kernels/attend.h"\n',
    "kernels/python/module.cc": '#include <nanobind/nanobind.h>\n#include "kernels/attend.h"\n',
    "kernels/onednn/matmul.cc": '#include "oneapi/dnnl/dnnl.hpp"\n#include "kernels/attend.h"\n',
    "server/core/engine.h": '#include "kernels/attend.h"\n#include "absl/status/status.h"\n',
    "server/layers/file.cc": '#include <nlohmann/json.hpp>\n#include "server/core/engine.h"\n',
    "server/codec.cc": '#include "attention/v1/tensor.pb.h"\n#include "server/core/engine.h"\n'
                       '#include <grpcpp/grpcpp.h>\n#include "google/protobuf/message.h"\n',
    "server/prometheus_metrics.cc": '#include "prometheus/registry.h"\n',
    "server/http_server.cc": '#include "prometheus/registry.h"\n#include <CivetServer.h>\n',
    "server/main.cc": '#include "CLI/CLI.hpp"\n#include "spdlog/spdlog.h"\n',
    "client/client.h": '#include "attention/v1/attention_service.grpc.pb.h"\n',
    "client/version.h.in": "",
    "client/attn.cc": '#include "client/client.h"\n  #  include "nlohmann/json.hpp"\n'
                      '#include "client/version.h"\n',
    "tests/kernels/attend_test.cc": '#include "gtest/gtest.h"\n#include "kernels/attend.h"\n',
    "tests/support/fake.h": '#include "server/core/engine.h"\n#include "client/client.h"\n',
    "proto/attention/v1/tensor.proto": 'import "google/protobuf/struct.proto";\n',
    "proto/attention/v1/service.proto": 'import public "attention/v1/tensor.proto";\n',
}

# Each: a file, one line planted into it, and a word of the complaint.
FORBIDDEN = (
    ("kernels/attend.h", '#include "server/core/engine.h"', "server/core/engine.h"),
    ("kernels/attend.h", '#include "client/client.h"', "client/client.h"),
    ("kernels/attend.h", '#include "tests/support/fake.h"', "tests/support/fake.h"),
    ("kernels/attend.h", "#include <oneapi/dnnl/dnnl.h>", "oneDNN"),
    ("kernels/attend.h", '#include "dnnl.hpp"', "oneDNN"),
    ("kernels/elementwise/exp.cc", '#include "oneapi/dnnl/dnnl_ukernel.hpp"', "oneDNN"),
    ("kernels/attend.cc", "#include <grpcpp/grpcpp.h>", "gRPC"),
    ("kernels/attend.cc", '#include "google/protobuf/message.h"', "protobuf"),
    ("kernels/attend.cc", '#include "attention/v1/tensor.pb.h"', "generated proto"),
    ("kernels/attend.cc", '#include "prometheus/counter.h"', "prometheus"),
    ("kernels/attend.cc", '#include "nlohmann/json.hpp"', "json"),
    ("kernels/onednn/matmul.cc", '#include "grpc/grpc.h"', "gRPC"),
    ("server/core/engine.h", '#include "grpcpp/grpcpp.h"', "gRPC"),
    ("server/layers/file.cc", '#include "grpcpp/grpcpp.h"', "gRPC"),
    ("server/layers/file.cc", '#include "server/codec/tensor_codec.h"', "tensor_codec.h"),
    ("server/core/engine.h", '#include "attention/v1/tensor.pb.h"', "generated proto"),
    ("server/core/engine.h", '#include "google/protobuf/message.h"', "protobuf"),
    ("server/core/engine.h", '#include "prometheus/counter.h"', "prometheus"),
    ("server/core/engine.h", '#include "oneapi/dnnl/dnnl.hpp"', "oneDNN"),
    ("server/core/engine.h", '#include "server/prometheus_metrics.h"', "server/prometheus"),
    ("server/core/engine.h", '#include "kernels/onednn/matmul.h"', "kernels/onednn/matmul.h"),
    ("server/codec.cc", '#include "prometheus/counter.h"', "prometheus"),
    ("server/codec.cc", '#include "oneapi/dnnl/dnnl.hpp"', "oneDNN"),
    ("server/codec.cc", "#include <CivetServer.h>", "civetweb"),
    ("kernels/attend.cc", "#include <omp.h>", "OpenMP"),
    ("kernels/attend.cc", "#include <nanobind/nanobind.h>", "nanobind"),
    ("kernels/python/module.cc", '#include "oneapi/dnnl/dnnl.hpp"', "oneDNN"),
    ("kernels/python/module.cc", '#include "kernels/onednn/matmul.h"', "kernels/onednn/matmul.h"),
    ("server/codec.cc", '#include "client/client.h"', "client/client.h"),
    ("server/main.cc", '#include "kernels/reference/oracle.h"', "kernels/reference/oracle.h"),
    ("server/main.cc", '#include "tests/support/fake.h"', "tests/support/fake.h"),
    ("client/client.h", '#include "server/codec.h"', "server/codec.h"),
    ("client/client.h", '#include "kernels/attend.h"', "kernels/attend.h"),
    ("client/attn.cc", '#include "prometheus/counter.h"', "prometheus"),
    ("client/attn.cc", '# include "tests/support/fake.h"', "tests/support/fake.h"),
    ("client/attn.cc", '#include "client.h"', "no known library"),
    ("client/attn.cc", '#include "../server/codec.h"', "no known library"),
    ("client/attn.cc", '#include "client/renamed.h"', "does not exist"),
    ("client/attn.cc", '#include "boost/any.hpp"', "no known library"),
    ("client/attn.cc", "#include SOME_MACRO", "macro"),
    ("deploy/tool.cc", "#include <vector>", "lives in"),
    ("proto/attention/v1/tensor.proto", 'import "kernels/tensor.proto";', "kernels/tensor.proto"),
)


def scan_planted(changes=()):
    """Scans LEGAL on disk, with each (path, line) of `changes` put in front of its file."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in LEGAL.items():
            target = pathlib.Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        for path, line in changes:
            target = pathlib.Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(f"{line}\n{LEGAL.get(path, '')}", encoding="utf-8")
        return layers.scan(source_tree.read_tree(folder))


class LayersTest(unittest.TestCase):
    def test_the_project_keeps_its_layers(self):
        scan = layers.scan(source_tree.read_tree(PROJECT_FOLDER))
        if scan.violations:
            self.fail("\n" + "\n".join(scan.violations))

    def test_the_scan_of_the_project_reached_every_layer(self):
        scan = layers.scan(source_tree.read_tree(PROJECT_FOLDER))
        empty = [name for name, count in scan.files_by_layer.items() if count == 0]
        self.assertEqual(empty, [], "no file found for these layers: correct LAYERS or the walk")
        self.assertGreater(scan.include_count, 100)

    def test_accepts_every_legal_include(self):
        scan = scan_planted()
        self.assertEqual(scan.violations, [])
        read = [path for path in LEGAL if not path.endswith(".in")]
        self.assertEqual(sum(scan.files_by_layer.values()), len(read))
        self.assertEqual(scan.include_count, sum(text.count("\n") for text in LEGAL.values()))

    def test_sees_each_planted_forbidden_include(self):
        for path, line, word in FORBIDDEN:
            with self.subTest(path=path, line=line):
                violations = scan_planted([(path, line)]).violations
                self.assertEqual(len(violations), 1, violations)
                self.assertTrue(violations[0].startswith(path))
                self.assertIn(word, violations[0])

    def test_an_empty_tree_is_not_mistaken_for_a_clean_one(self):
        scan = layers.scan([])
        self.assertEqual(scan.include_count, 0)
        self.assertEqual(set(scan.files_by_layer.values()), {0})


if __name__ == "__main__":
    unittest.main()
