"""The tree keeps the rules of style; and each rule sees what it is there to see."""

import pathlib
import unittest

import source_tree
import style

PROJECT_FOLDER = pathlib.Path(__file__).resolve().parents[2]

GOOD_HEADER = "#ifndef ATTENTION_KERNELS_A_H_\n#define ATTENTION_KERNELS_A_H_\n#endif\n"
GOOD_LIST = "attention_library(kernels SOURCES a.cc onednn/b.cc)\n"

# Each: files (path and text) and a word of the one complaint they must cause.
PLANTED = (
    ({"kernels/a.h": GOOD_HEADER + "\n" * 400}, "lines"),
    ({"deploy/a": "#!/bin/sh\n" + "\n" * 400}, "lines"),
    ({"docs/a.py": "x" * 101 + "\n"}, "columns"),
    ({"tests/CMakeLists.txt": "#" * 101 + "\n"}, "columns"),
    ({"proto/a.proto": "// " + "\u00e9" * 98 + "\n"}, "columns"),
    ({"kernels/a.h": "#pragma once\n"}, "want ATTENTION_KERNELS_A_H_"),
    ({"kernels/b/a-inl.h": GOOD_HEADER}, "want ATTENTION_KERNELS_B_A_INL_H_"),
    ({"scratch/a.md": "\n"}, "scratch"),
    ({"notes.md": "\n"}, "notes.md"),
    ({"README.md": "run /ho" + "me/somebody/attn\n"}, "one machine"),
    ({"deploy/a.conf": "path=/wo" + "rk/main\n"}, "one machine"),
    ({"deploy/sources.list": "deb http://deb.debian" + ".org/debian trixie main\n"}, "registry"),
    ({"deploy/pip.conf": "index-url = https://pypi" + ".org/simple\n"}, "registry"),
    ({"deploy/go.env": "GOPROXY=https://proxy.golang" + ".org\n"}, "registry"),
    ({"docs/a.md": "TO" + "DO: more\n"}, "unfinished"),
    ({"kernels/CMakeLists.txt": GOOD_LIST, "kernels/c.cc": ""}, "kernels/c.cc"),
    ({"kernels/CMakeLists.txt": GOOD_LIST, "kernels/other/b.cc": ""}, "kernels/other/b.cc"),
    ({"tests/CMakeLists.txt": "attention_test(a_test)", "tests/server/a_test.cc": ""}, "a_test"),
    ({"tests/CMakeLists.txt": "", "tests/a_test.py": ""}, "a_test.py"),
    ({"CMakeLists.txt": "project(a VERSION 1.2.3 LANGUAGES C)\n",
      "Dockerfile": "ARG VERSION=1.2.2\n"}, "want 1.2.3"),
)

LEGAL = {
    "kernels/a.h": GOOD_HEADER,
    "kernels/b/c-inl.h": "#if defined(ATTENTION_KERNELS_B_C_INL_H_) == "
                         "defined(HWY_TARGET_TOGGLE)\n#endif\n",
    "kernels/CMakeLists.txt": GOOD_LIST,
    "kernels/a.cc": "#include <vector>\n" * 400,
    "kernels/onednn/b.cc": "// " + "\u00e9" * 97 + "\n",
    "tests/server/CMakeLists.txt": "foreach(name IN ITEMS codec options)\n",
    "tests/server/codec_test.cc": "",
    "CMakeLists.txt": "project(a VERSION 1.2.3\n",
    "Dockerfile": "ARG VERSION=1.2.3\n",
    ".clang-tidy": "",
    "deploy/a": "#!/bin/sh\n" + "x" * 120 + "\n",
    "tests/golden/vectors.json": "[" + "0," * 200 + "0]\n",
    "README.md": "x" * 200 + " needs google.golang.org/grpc and ${home}/" +
                 "work/x, mktemp a.XXXXXX\n",
}


def check(files):
    return style.check([source_tree.SourceFile(path, text) for path, text in files.items()])


class StyleTest(unittest.TestCase):
    def test_the_project_keeps_the_rules(self):
        files = source_tree.read_tree(PROJECT_FOLDER)
        self.assertGreater(len(files), 30, "the walk found next to nothing")
        violations = style.check(files)
        if violations:
            self.fail("\n" + "\n".join(violations))

    def test_accepts_what_keeps_the_rules(self):
        self.assertEqual(check(LEGAL), [])

    def test_sees_each_planted_breach(self):
        for files, word in PLANTED:
            with self.subTest(word=word, files=list(files)):
                violations = check(files)
                self.assertEqual(len(violations), 1, violations)
                self.assertIn(word, violations[0])


if __name__ == "__main__":
    unittest.main()
