"""compare_peers, run for a moment: whole rows, right answers, a file that a program can read."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import types
import unittest

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "compare_peers"
sys.path[:0] = [str(PROGRAM.parent)]

from peers import cases, comparison, report
from peers.contestant import Prepared

FIELDS = {"shape", "kind", "type", "precision", "causal", "threads", "ours_ms", "peers", "wrong",
          "ratio_to_best_peer", "amx_phase"}


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-B", PROGRAM, "--build", os.environ["TEST_BUILD_FOLDER"], *arguments],
        capture_output=True, text=True, check=False, timeout=300)


class ComparePeersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "rows.json"
            cls.result = run("--quick", "--threads", "1,2", "--json", str(path))
            cls.written = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def rows(self, **wanted):
        return [row for row in self.written["rows"]
                if all(row[name] == value for name, value in wanted.items())]

    def test_every_answer_of_ours_is_right(self):
        self.assertEqual(self.result.returncode, 0, self.result.stderr)
        self.assertNotIn("WRONG: ours", self.result.stderr)

    def test_rows_are_whole(self):
        self.assertTrue(self.written["rows"])
        for row in self.written["rows"]:
            self.assertLessEqual(FIELDS, row.keys())
            self.assertGreater(row["ours_ms"], 0)
            self.assertIs(row["wrong"], False)
            self.assertIn(row["amx_phase"], ("fast", "slow", "none"))

    def test_f32_is_timed_in_two_precisions_and_with_every_number_of_threads(self):
        for threads in (1, 2):
            rows = self.rows(shape="8x333x48", type="f32", threads=threads)
            self.assertEqual([row["requested_precision"] for row in rows], ["f32", "bf16_x6"])

    def test_a_ratio_is_the_best_peers_time_by_ours(self):
        rows = self.rows(shape="8x333x48", type="f32")
        for row in rows:
            self.assertIn("onednn_graph", row["peers"])
            self.assertAlmostEqual(row["ratio_to_best_peer"] * row["ours_ms"],
                                   min(row["peers"].values()))

    def test_what_is_missing_is_named(self):
        for package in self.written["missing"]:
            self.assertIn(f"missing: {package}", self.result.stderr)

    def test_a_wrong_option_is_refused(self):
        self.assertEqual(run("--cap", "avx1024").returncode, 2)

    def test_the_processor_has_a_name(self):
        self.assertNotIn(self.written["processor"], ("", "x86_64"))


class WrongAnswerTest(unittest.TestCase):
    """An answer of ours that is wrong, beside a peer's that is right."""

    def setUp(self):
        case = cases.Case("tiny", "1x8x3", 1, 8, 3)  # every row is compared
        ran = {"implementation": "fake", "precision": "f32"}

        def ours(precision):
            return types.SimpleNamespace(prepare=lambda case, operands, threads: Prepared(
                f"ours {precision}", lambda: None, lambda _: 2 * operands.value.array, lambda: ran))

        def peers(case, operands, threads, say):
            right = comparison.agreement.reference(case, operands).astype("float32")
            return [Prepared("peer", lambda: None, lambda _: right)]

        compared = comparison.Comparison(
            types.SimpleNamespace(prepare=peers), {cases.Case: ours},
            pathlib.Path(os.environ["TEST_BUILD_FOLDER"]) / "tests/bin", rounds=1, seconds=0.1)
        with contextlib.redirect_stdout(io.StringIO()) as table, \
                contextlib.redirect_stderr(io.StringIO()) as messages:
            compared.compare(case, "f32", 1)
        self.compared, self.table, self.messages = compared, table.getvalue(), messages.getvalue()

    def test_it_is_no_figure(self):
        for row in self.compared.rows:
            self.assertIs(row["wrong"], True)
            self.assertIsNone(row["ratio_to_best_peer"])
            self.assertEqual(list(row["peers"]), ["peer"])
        self.assertEqual(list(report.summary(self.compared.rows)), [])

    def test_it_is_said(self):
        self.assertEqual(len(self.compared.wrong), 2)
        self.assertEqual(self.table.count("WRONG"), 2)
        self.assertNotIn("x  peer", self.table)
        self.assertIn("WRONG: ours f32 1x8x3 f32: relative error", self.messages)
        self.assertNotIn("among the peers", self.messages)


if __name__ == "__main__":
    unittest.main()
