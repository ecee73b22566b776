"""The command-line client as people and scripts use it, against a real server."""

import json
import os
import pathlib
import socket
import unittest

import numpy

from attn_case import (
    OK, SERVER_ERROR, USAGE_ERROR, AttnTestCase, attn, server_address, start_server, stop_server)

WORDS = numpy.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
EXAMPLES = (
    "friends", "phrase", "phrase-top3", "sentiment", "sentiment-scaled", "cat", "cat-heads",
    "identity-scores", "identity-heads", "masked-scores", "causal", "cross-scores", "lookup-exact",
    "lookup-soft", "seq2seq-dot", "seq2seq-additive",
)


def setUpModule():
    start_server()


def tearDownModule():
    stop_server()


def attend(query, key, value, visible=None, scale=None):
    scores = query @ key.T * (query.shape[1] ** -0.5 if scale is None else scale)
    powers = numpy.exp(scores) * (1.0 if visible is None else visible)
    weights = powers / powers.sum(axis=1, keepdims=True)
    return weights @ value, weights


class AttentionCommandsTest(AttnTestCase):
    def test_every_input_form_gives_the_same_answer(self):
        want, weights = attend(WORDS, WORDS, WORDS)
        flags = ("--type", "f64", "--weights")
        for name in ("words.json", "words.csv", "words.npy"):
            with self.subTest(name):
                path = self.write(name, WORDS)
                answer = self.succeed_json("self", "--embeddings", path, *flags)
                numpy.testing.assert_allclose(answer["output"], want, rtol=1e-14)
                numpy.testing.assert_allclose(answer["weights"].reshape(3, 3), weights, rtol=1e-14)
                piped = self.succeed_json(
                    "self", "--embeddings", "-", *flags, stdin=pathlib.Path(path).read_bytes())
                numpy.testing.assert_array_equal(piped["output"], answer["output"])

    def test_the_order_of_a_npy_file_changes_nothing(self):
        batch = numpy.arange(24.0).reshape(2, 3, 4) / 24
        flags = ("--output", "npy", "--type", "f64")
        rows = self.succeed("self", "--embeddings", self.write("rows.npy", batch), *flags)
        columns = self.write("columns.npy", numpy.asfortranarray(batch))
        self.assertIn(b"'fortran_order': True", pathlib.Path(columns).read_bytes())
        self.assertEqual(self.succeed("self", "--embeddings", columns, *flags), rows)

    def test_npy_output_is_what_numpy_reads(self):
        path, out = self.write("words.npy", WORDS), self.folder / "out.npy"
        written = self.succeed(
            "self", "--embeddings", path, "--type", "f64", "--output", "npy", "--output-file",
            str(out))
        self.assertEqual(written, b"")
        numpy.testing.assert_allclose(
            numpy.load(out), attend(WORDS, WORDS, WORDS)[0], rtol=1e-14)

    def test_table_shows_labels_and_digits(self):
        table = self.succeed(
            "self", "--embeddings", self.write("words.csv", WORDS), "--weights", "--labels",
            "cat,\u732b,dog", "--type", "f64").decode()
        for text in ("cat", "\u732b", "dog", f"{attend(WORDS, WORDS, WORDS)[0][0, 0]:.6f}"):
            self.assertIn(text, table)

    def test_heat_map_is_plain_when_piped_and_coloured_on_demand(self):
        path = self.write("words.csv", WORDS)
        plain = self.succeed("self", "--embeddings", path, "--heatmap")
        self.assertNotIn(b"\x1b[", plain)
        self.assertGreater(len(plain), len(self.succeed("self", "--embeddings", path)))
        coloured = self.succeed("self", "--embeddings", path, "--heatmap", "--color", "always")
        self.assertIn(b"\x1b[", coloured)

    def test_masked(self):
        visible = numpy.tril(numpy.ones((3, 3)))
        path = self.write("words.json", WORDS)
        answer = self.succeed_json("masked", "--embeddings", path, "--causal", "--type", "f64")
        numpy.testing.assert_allclose(
            answer["output"], attend(WORDS, WORDS, WORDS, visible)[0], rtol=1e-14)
        mask = self.write("mask.csv", visible.astype(int))
        answer = self.succeed_json(
            "masked", "--embeddings", path, "--boolean-mask", mask, "--type", "f64")
        numpy.testing.assert_allclose(
            answer["output"], attend(WORDS, WORDS, WORDS, visible)[0], rtol=1e-14)
        answer = self.succeed_json(
            "masked", "--embeddings", path, "--key-lengths", "2", "--type", "f64")
        numpy.testing.assert_allclose(
            answer["output"], attend(WORDS, WORDS[:2], WORDS[:2])[0], rtol=1e-14)

    def test_cross_multi_head_and_sdpa(self):
        query = numpy.array([[0.5, -1.0], [2.0, 0.25]])
        query_file, words_file = self.write("query.npy", query), self.write("words.csv", WORDS)
        want = attend(query, WORDS, WORDS, scale=0.5)[0]
        shared = ("--query", query_file, "--scale", "0.5", "--type", "f64")
        for arguments in (
                ("cross", "--memory", words_file),
                ("multi-head", "--key", words_file),
                ("sdpa", "--key", words_file, "--value", words_file)):
            with self.subTest(arguments[0]):
                answer = self.succeed_json(*arguments, *shared)
                numpy.testing.assert_allclose(answer["output"], want, rtol=1e-14)

    def test_precision(self):
        path = self.write("words.csv", WORDS)
        for word in ("f32", "bf16_x6", "bf16_x3", "bf16", "f32_grade_fastest"):
            with self.subTest(word):
                answer = self.succeed_json("self", "--embeddings", path, "--precision", word)
                numpy.testing.assert_allclose(
                    answer["output"], attend(WORDS, WORDS, WORDS)[0], rtol=2**-6)
        self.check_error(
            attn("self", "--embeddings", path, "--type", "f64", "--precision", "bf16"),
            SERVER_ERROR, "INVALID_ARGUMENT", "options.precision", "DATA_TYPE_F64")
        self.check_error(attn("self", "--embeddings", path, "--precision", "f8"), USAGE_ERROR)

    def test_projections(self):
        twice, bias = self.write("twice.json", 2 * numpy.eye(2)), self.write(
            "bias.json", numpy.array([1.0, -1.0]))
        answer = self.succeed_json(
            "self", "--embeddings", self.write("words.csv", WORDS), "--value-weight", twice,
            "--value-bias", bias, "--type", "f64")
        want = attend(WORDS, WORDS, 2 * WORDS + [1, -1])[0]
        numpy.testing.assert_allclose(answer["output"], want, rtol=1e-14)


class ServerCommandsTest(AttnTestCase):
    def test_info_health_and_version(self):
        info = json.loads(self.succeed("info", "--output", "json"))
        self.assertIn("unfused-float64", info["implementations"])
        self.assertIn(info["version"], self.succeed("info").decode())
        self.assertEqual(self.succeed("health"), b"SERVING\n")
        self.assertIn(info["version"], self.succeed("version").decode())
        self.assertIn(
            "server", self.succeed("version", "--server", server_address()).decode())

    def test_help_of_every_command(self):
        self.assertIn(b"sdpa", self.succeed("--help"))
        for command in ("self", "masked", "multi-head", "cross", "sdpa", "rotary", "merge",
                        "examples", "example", "info", "health", "version"):
            self.assertIn(b"Example", self.succeed(command, "--help"), command)


class ErrorsTest(AttnTestCase):
    def test_output_that_is_lost(self):
        words = self.write("words.csv", WORDS)
        for arguments in (
                ("--help",), ("version",), ("info",), ("health",), ("layers",),
                ("example", "friends"), ("self", "--embeddings", words)):
            with self.subTest(arguments), open("/dev/full", "wb") as full:
                finished = attn(*arguments, stdout=full)
                self.assertEqual(finished.returncode, SERVER_ERROR)
                self.assertEqual(
                    finished.stderr, b"attn: standard output cannot be written\n")

    def test_usage_errors(self):
        words = self.write("words.csv", WORDS)
        ragged = self.folder / "ragged.csv"
        ragged.write_text("1,2\n3\n")
        for arguments in (
                (), ("no-such-command",), ("self",), ("self", "--no-such-flag"),
                ("self", "--embeddings", "/no/such/file"),
                ("self", "--embeddings", str(self.folder)),
                ("self", "--embeddings", str(ragged)),
                ("self", "--embeddings", words, "--type", "f8"),
                ("self", "--embeddings", words, "--heads", "0"),
                ("self", "--embeddings", words, "--scale", "nan"),
                ("example", "no-such-example")):
            with self.subTest(arguments):
                self.check_error(attn(*arguments), USAGE_ERROR)

    def test_standard_input_that_cannot_be_read(self):
        folder = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        self.check_error(attn("self", "--embeddings", "-", stdin=folder), USAGE_ERROR,
                         "standard input: it cannot be read")

    def test_what_the_server_refuses_is_a_server_error_that_names_the_field(self):
        words = self.write("words.csv", WORDS)
        finished = attn("self", "--embeddings", words, "--heads", "2000")
        self.assertNotEqual(finished.returncode, OK)
        self.check_error(
            attn("self", "--embeddings", words, "--heads", "3"), SERVER_ERROR,
            "INVALID_ARGUMENT", "head")

    def test_a_server_that_is_not_there(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
        for command in (("info",), ("health",), ("example", "friends")):
            finished = attn(*command, "--deadline-ms", "1500", address=address)
            self.check_error(
                finished, SERVER_ERROR, "UNAVAILABLE", f"no server answers at {address}")

    def test_health_of_a_service_that_is_not_there(self):
        self.check_error(attn("health", "--service", "nobody"), SERVER_ERROR)


class ExamplesTest(AttnTestCase):
    def test_the_list_is_complete(self):
        listing = self.succeed("examples").decode()
        names = [line.split()[0] for line in listing.splitlines() if line.strip()]
        self.assertLessEqual(set(EXAMPLES), set(names))

    def test_every_example_matches_in_float64_and_in_float32(self):
        for data_type in ("f64", "f32"):
            with self.subTest(data_type):
                text = self.succeed("example", "all", "--type", data_type).decode()
                self.assertNotIn("differs", text)

    def test_each_example_matches_alone(self):
        for name in EXAMPLES:
            with self.subTest(name):
                self.assertTrue(self.succeed("example", name))

    def test_the_digits_are_the_published_ones(self):
        friends = self.succeed("example", "friends").decode()
        for digits in ("0.98522025", "1.74174051", "0.75652026"):
            self.assertIn(digits, friends)
        self.assertIn("-0.81867124", self.succeed("example", "sentiment").decode())


if __name__ == "__main__":
    unittest.main()
