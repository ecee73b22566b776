"""docs/semantics.md says something about every field that can be asked for, and names real tests.

Reads the tree; needs no build.
"""

import pathlib
import re
import unittest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
_DOCUMENT = "docs/semantics.md"
_FIELDS_OF = {
    "proto/attention/v1/options.proto": ["AttentionOptions"],
    "proto/attention/v1/attention_service.proto": ["ScaledDotProductAttentionRequest"],
}
_TEST = re.compile(r"\b(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)")


def read(path):
    return (PROJECT / path).read_text(encoding="utf-8")


def fields(path, message):
    """The names of a message's fields, those of a oneof among them."""
    body = re.search(rf"^message {message} {{\n(.*?)^}}", read(path), re.MULTILINE | re.DOTALL)
    code = re.sub(r"//.*", "", body.group(1))
    return re.findall(r"^\s*(?:optional |repeated )?[\w.]+ (\w+) = \d+;", code, re.MULTILINE)


def rows():
    """The cells of every row of every table but its head."""
    lines = [line for line in read(_DOCUMENT).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "Feature" and not set(row[0]) <= set("-")]


def gtest_names():
    names = set()
    for path in (PROJECT / "tests").rglob("*.cc"):
        names |= {".".join(each) for each in _TEST.findall(path.read_text(encoding="utf-8"))}
    return names


class SemanticsTest(unittest.TestCase):
    def test_every_field_is_in_the_field_column(self):
        documented = {name for row in rows() for name in re.findall(r"`([\w.]+)`", row[1])}
        for path, messages in _FIELDS_OF.items():
            for message in messages:
                found = fields(path, message)
                self.assertGreater(len(found), 10, message)
                self.assertEqual(set(found) - documented, set(), message)

    def test_every_row_is_complete(self):
        self.assertGreater(len(rows()), 40)
        for row in rows():
            self.assertEqual(len(row), 8, row)
            self.assertTrue(row[0] and row[1], row)
            self.assertTrue(row[7] or row[1] == "`options`", f"no test: {row[0]}")

    def test_the_tests_that_are_named_exist(self):
        known = gtest_names()
        for row in rows():
            for name in filter(None, row[7].replace("`", "").split(", ")):
                folder, _, test = name.partition(".")
                suites = [PROJECT / "tests" / "oracles" / f"{name}.py"]
                if folder in ("conformance", "integration", "oracles"):
                    suites = [PROJECT / "tests" / folder / f"{test}.py"]
                self.assertTrue(name in known or suites[0].is_file(), name)


if __name__ == "__main__":
    unittest.main()
