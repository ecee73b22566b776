"""The tables say what the benchmark's rows say."""

import unittest

import table

CONTEXT = {"date": "2026-01-02T03:04:05+00:00", "num_cpus": 2, "processor": "A Processor",
           "instruction_set": "avx512_amx"}


def run(name, milliseconds, label="fused-amx f32 amx:fast", **counters):
    return {"name": name + "/real_time", "run_type": "iteration", "label": label,
            "median_ms": milliseconds, "GFLOP/s": 100.0, "fma%": 50.0, **counters}


def document(*runs):
    return {"context": CONTEXT, "benchmarks": list(runs)}


class TableTest(unittest.TestCase):
    def test_a_row_is_the_median_of_its_repetitions(self):
        name = "prefill/8x512x64/F32/f32/threads:1"
        text = table.render([document(run(name, 9.0), run(name, 1.0)), document(run(name, 3.0))])
        self.assertIn("| prefill 8x512x64 | F32 | f32 | 3.00 | 100 GFLOP/s | 50 % FMA |  |  |  |  "
                      "| fast 3/3 |", text)
        self.assertIn("Machine: A Processor, 2 processors, avx512_amx, 2026-01-02.", text)
        self.assertIn("- FMA: 200 GFLOP/s (200 to 200 during the run)", text)

    def test_the_precision_is_the_one_that_ran(self):
        name = "prefill/8x512x64/F32/bf16/threads:2"
        rows = table.read_rows([document(run(name, 1.0, "fused-amx bf16_x3 amx:fast"))])
        self.assertEqual(list(rows), [("prefill", "8x512x64", "F32", "bf16_x3", 2)])

    def test_only_repetitions_in_the_best_phase_count(self):
        name = "prefill/8x512x64/BF16/threads:"
        slow = "fused-amx bf16 amx:slow"
        rows = table.read_rows([document(
            run(name + "1", 9.0, slow), run(name + "1", 2.0, "fused-amx bf16 amx:fast"),
            run(name + "1", 8.0, slow), run(name + "2", 5.0, slow))])
        (line,) = table.figures(rows)[2:]
        self.assertIn("| 2.00 | 100 GFLOP/s |", line)
        self.assertIn("| 5.00 | 100 GFLOP/s |  | fast 1/3; slow 1/1 |", line)

    def test_a_machine_without_amx_has_no_phase(self):
        rows = table.read_rows([document(
            run("prefill/8x512x64/F32/f32/threads:1", 1.0, "fused-avx2 f32"))])
        self.assertTrue(table.figures(rows)[2].endswith("|  |"))

    def test_two_threads_and_plain_twins_stand_beside_a_row(self):
        causal = "prefill/8x512x64_causal/F32/f32/threads:"
        rows = table.read_rows([document(
            run(causal + "2", 4.0) | {"family_index": 3}, run(causal + "1", 6.0),
            run("prefill/8x512x64/F32/f32/threads:1", 8.0))])
        self.assertEqual(table.figures(rows)[2:], [
            "| prefill 8x512x64_causal | F32 | f32 | 6.00 | 100 GFLOP/s | 50 % FMA | 0.75 | 4.00 "
            "| 100 GFLOP/s | 1.50 | fast 1/1; fast 1/1 |",
            "| prefill 8x512x64 | F32 | f32 | 8.00 | 100 GFLOP/s | 50 % FMA |  |  |  |  "
            "| fast 1/1 |"])

    def test_decoding_is_measured_against_reading(self):
        name = "decode/32-8x1on4096x128/BF16/threads:1"
        reading = run(name, 0.0123, **{"GB/s": 12.34, "read%": 90.0})
        (line,) = table.figures(table.read_rows([document(reading)]))[2:]
        self.assertIn("| 0.0123 | 12.3 GB/s | 90 % read |", line)

    def test_skipped_rows_and_aggregates_are_left_out(self):
        name = "tiny/1x9x3/F32/f32/threads:1"
        aggregate = run(name, 5.0) | {"run_type": "aggregate"}
        skipped = {"name": name, "run_type": "iteration", "skipped": True}
        self.assertEqual(table.read_rows([document(aggregate, skipped)]), {})

    def test_a_row_with_an_error_is_refused(self):
        failed = {"name": "tiny", "error_occurred": True, "error_message": "wrong"}
        with self.assertRaisesRegex(ValueError, "tiny: wrong"):
            table.render([document(failed)])

    def test_figures_replace_what_is_between_the_marks_and_nothing_else(self):
        text = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
        want = f"before\n{table.BEGIN}\n\nnew\n\n{table.END}\nafter\n"
        self.assertEqual(table.replace_figures(text, "new\n"), want)
        with self.assertRaisesRegex(ValueError, "want a line"):
            table.replace_figures("no marks", "new\n")


if __name__ == "__main__":
    unittest.main()
