"""The options, statistics and operators of the command-line client, against numpy in float64."""

import unittest

import numpy

from attn_case import SERVER_ERROR, AttnTestCase, attn, start_server, stop_server

RANDOM = numpy.random.default_rng(5)
HEADS, QUERIES, KEYS, WIDTH = 2, 4, 6, 4
QUERY = RANDOM.standard_normal((HEADS, QUERIES, WIDTH))
KEY = RANDOM.standard_normal((HEADS, KEYS, WIDTH))
VALUE = RANDOM.standard_normal((HEADS, KEYS, WIDTH))

# Float64 sums of a few dozen numbers of about 1.
TOLERANCE = {"rtol": 1e-12, "atol": 1e-13}


def setUpModule():
    start_server()


def tearDownModule():
    stop_server()


def per_head(numbers):
    return numpy.array(numpy.broadcast_to(numbers, HEADS), dtype=float).reshape(-1, 1, 1)


def softmax(scores, sinks=None):
    """Weights and log-sum-exp, [heads, queries]; -inf hides."""
    powers = numpy.exp(scores)
    total = powers.sum(axis=-1, keepdims=True)
    if sinks is not None:
        total = total + numpy.exp(per_head(sinks))
    with numpy.errstate(divide="ignore"):
        logs = numpy.log(total)[..., 0]
    return powers / numpy.where(total == 0, 1, total), logs


def rotate(rows, positions, base):
    """Pairs (k, k + width / 2) turned by position * base^(-2 k / width)."""
    half = rows.shape[-1] // 2
    angles = numpy.outer(positions, base ** (-numpy.arange(half) / half))
    first, second = rows[..., :half], rows[..., half:]
    cos, sin = numpy.cos(angles), numpy.sin(angles)
    return numpy.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


POSITIONS = numpy.arange(QUERIES) + KEYS - QUERIES  # bottom-right
DISTANCES = numpy.arange(KEYS) - POSITIONS[:, None]
SCORES = QUERY @ KEY.transpose(0, 2, 1) / numpy.sqrt(WIDTH)


class OptionsTest(AttnTestCase):
    def sdpa(self, *flags, query=QUERY, key=KEY, value=VALUE):
        return self.succeed_json(
            "sdpa", "--query", self.write("q.npy", query), "--key", self.write("k.npy", key),
            "--value", self.write("v.npy", value), "--type", "f64", *flags)

    def check(self, answer, scores, sinks=None, factors=1.0):
        weights, _ = softmax(scores, sinks)
        numpy.testing.assert_allclose(answer["output"], per_head(factors) * weights @ VALUE,
                                      **TOLERANCE)

    def test_what_hides_keys(self):
        def hidden(visible):
            return numpy.where(visible, SCORES, -numpy.inf)
        aligned = ("--query-alignment", "bottom-right")
        self.check(self.sdpa("--window-left", "2", *aligned), hidden(DISTANCES >= -2))
        self.check(self.sdpa("--window-left", "1", "--window-right", "0", *aligned),
                   hidden((DISTANCES >= -1) & (DISTANCES <= 0)))
        self.check(self.sdpa("--causal", "bottom-right", "--prefix-lengths", "4"),
                   hidden((DISTANCES <= 0) | (numpy.arange(KEYS) < 4)))
        self.check(self.sdpa("--causal", "key-lengths", "--key-lengths", "5"),
                   hidden(DISTANCES + 1 <= 0))
        documents = numpy.array([0, 0, 1, 1]), numpy.array([0, 1, 0, 1, 1, 0])
        self.check(
            self.sdpa("--segments", "0,0,1,1", "--key-segments", "0,1,0,1,1,0"),
            hidden(documents[0][:, None] == documents[1]))
        blocks = numpy.array([[1, 0, 1], [0, 1, 1]])
        mask = self.write("blocks.json", blocks)
        self.check(self.sdpa("--block-mask", mask, "--block-size", "2"),
                   hidden(numpy.kron(blocks, numpy.ones((2, 2))) == 1))
        short = self.write("short.json", numpy.ones((4, 3), dtype=int))
        self.check(self.sdpa("--boolean-mask", short, "--short-masks"),
                   hidden(numpy.arange(KEYS) < 3))

    def test_what_changes_scores(self):
        aligned = ("--query-alignment", "bottom-right")
        self.check(self.sdpa("--softcap", "0.5"), 0.5 * numpy.tanh(SCORES / 0.5))
        self.check(self.sdpa("--alibi", "0.5,-0.25", *aligned),
                   SCORES + per_head([0.5, -0.25]) * DISTANCES)
        self.check(self.sdpa("--alibi", "0.5,0.25", "--alibi-symmetric", *aligned),
                   SCORES - per_head([0.5, 0.25]) * numpy.abs(DISTANCES))
        table = RANDOM.standard_normal((4, HEADS))
        behind = numpy.maximum(-DISTANCES, 0)
        self.check(
            self.sdpa("--relative-bias", self.write("table.npy", table),
                      "--relative-bias-distance", "4", *aligned),
            SCORES + table[self.t5_bucket(behind)].transpose(2, 0, 1))
        self.check(self.sdpa("--temperature", "0.5,2"), SCORES / per_head([0.5, 2]))
        self.check(self.sdpa("--sinks", "0.5,-1"), SCORES, sinks=[0.5, -1])
        self.check(self.sdpa("--head-mask", "0,2"), SCORES, factors=[0, 2])

    @staticmethod
    def t5_bucket(distance):
        """Four: two exact ones, then 2 + log(d / 2) / log(4 / 2) * 2, at most the last."""
        far = 2 + (numpy.log(numpy.maximum(distance, 1) / 2) / numpy.log(2) * 2).astype(int)
        return numpy.where(distance < 2, distance, numpy.minimum(far, 3))

    def test_rotation(self):
        turned = (rotate(QUERY, POSITIONS, 100.0) @
                  rotate(KEY, numpy.arange(KEYS), 100.0).transpose(0, 2, 1) / numpy.sqrt(WIDTH))
        self.check(self.sdpa("--rotary", "halves", "--rotary-base", "100", "--query-alignment",
                             "bottom-right"), turned)
        rows = QUERY[0]
        answer = self.succeed_json("rotary", "--input", self.write("rows.npy", rows), "--base",
                                   "100", "--position-ids", "2,3,4,9", "--type", "f64")
        numpy.testing.assert_allclose(answer["output"], rotate(rows, [2, 3, 4, 9], 100.0),
                                      **TOLERANCE)

    def test_fully_masked_queries(self):
        mask = self.write("mask.json", numpy.zeros((1, KEYS), dtype=int))
        for word, want in (("zeros", 0 * VALUE.sum(1)), ("uniform", VALUE.mean(1)),
                           ("nan", numpy.nan * VALUE.sum(1))):
            with self.subTest(word):
                got = self.sdpa("--boolean-mask", mask, "--fully-masked", word)["output"]
                if word == "nan":
                    self.assertEqual(set(got.ravel()), {"NaN"})
                else:
                    numpy.testing.assert_allclose(
                        got, numpy.broadcast_to(want[:, None], got.shape), **TOLERANCE)

    def test_statistics(self):
        answer = self.sdpa("--entropy", "--key-mass", "--maximum-weight", "--log-sum-exp", "--top",
                           "3", "--weights")
        weights, logs = softmax(SCORES)
        order = numpy.argsort(-weights, axis=-1)[..., :3]
        numpy.testing.assert_allclose(answer["weights"], weights, **TOLERANCE)
        numpy.testing.assert_allclose(
            answer["entropy"], -(weights * numpy.log(weights)).sum(-1), **TOLERANCE)
        # Fixed-point sums of weights: a trillionth each.
        numpy.testing.assert_allclose(answer["key_mass"], weights.sum(1), rtol=0, atol=1e-10)
        numpy.testing.assert_allclose(answer["maximum_weight"], weights.max(-1), **TOLERANCE)
        numpy.testing.assert_allclose(answer["log_sum_exp"], logs, **TOLERANCE)
        numpy.testing.assert_array_equal(answer["top_keys"], order)
        numpy.testing.assert_allclose(
            answer["top_weights"], numpy.take_along_axis(weights, order, -1), **TOLERANCE)

    def test_a_learner_reads_who_attends_to_whom(self):
        words = self.write("words.json", numpy.array([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]]))
        text = self.succeed("self", "--embeddings", words, "--labels", "cat,the,dog", "--top", "2",
                            "--entropy", "--key-mass").decode()
        self.assertIn("strongest keys\ncat  cat 0.4", text)
        for title in ("each query\n", "entropy", "each key\n", "mass"):
            self.assertIn(title, text)

    def test_merging_shards_is_the_whole(self):
        whole = self.sdpa("--log-sum-exp", "--sinks", "0.5,-1")
        states = []
        for index, (begin, end) in enumerate(((0, 1), (1, 4), (4, 6))):
            output, logs = (str(self.folder / f"{name}{index}.npy") for name in ("out", "lse"))
            sinks = ("--sinks", "0.5,-1") if index == 1 else ()  # it belongs to one of them
            self.sdpa("--save", f"output={output}", "--save", f"log-sum-exp={logs}", *sinks,
                      key=KEY[:, begin:end], value=VALUE[:, begin:end])
            states += ["--state", f"{output},{logs}"]
        merged = self.succeed_json("merge", *states, "--type", "f64")
        numpy.testing.assert_allclose(merged["output"], whole["output"], **TOLERANCE)
        numpy.testing.assert_allclose(merged["log_sum_exp"], whole["log_sum_exp"], **TOLERANCE)

    def test_steps_with_saved_keys_are_the_whole(self):
        whole = self.sdpa("--causal", query=KEY)["output"]
        past = [str(self.folder / name) for name in ("pk.npy", "pv.npy")]
        save = ("--save", f"present-key={past[0]}", "--save", f"present-value={past[1]}")
        given = ()
        for begin, end in ((0, 3), (3, 4), (4, 6)):
            step = self.sdpa("--causal", "bottom-right", *given, *save, query=KEY[:, begin:end],
                             key=KEY[:, begin:end], value=VALUE[:, begin:end])
            numpy.testing.assert_allclose(step["output"], whole[:, begin:end], **TOLERANCE)
            given = ("--past-key", past[0], "--past-value", past[1])
        numpy.testing.assert_array_equal(numpy.load(past[0]), KEY)

    def test_ragged_batches_are_sequences_alone(self):
        rows = [array.transpose(1, 0, 2) for array in (KEY, KEY, VALUE)]
        ragged = self.sdpa("--layout", "sequence-first", "--query-starts", "0,2,6", "--key-starts",
                           "0,2,6", "--causal", query=rows[0], key=rows[1], value=rows[2])["output"]
        for begin, end in ((0, 2), (2, 6)):
            alone = self.sdpa("--layout", "sequence-first", "--causal",
                              **{name: array[begin:end] for name, array in
                                 zip(("query", "key", "value"), rows)})["output"]
            numpy.testing.assert_array_equal(ragged[begin:end], alone)

    def test_strongest_keys_of_a_ragged_batch_have_their_own_names(self):
        words = self.write("words.json", numpy.eye(4))
        text = self.succeed("sdpa", "--query", words, "--key", words, "--value", words, "--layout",
                            "sequence-first", "--query-starts", "0,2,4", "--key-starts", "0,2,4",
                            "--top", "1", "--labels", "a,b,c,d", "--precision-digits", "0")
        self.assertIn(b"\na  a 1\nb  b 1\nc  c 1\nd  d 1\n", text)

    def test_what_does_not_go_together_names_both(self):
        words = self.write("words.json", numpy.eye(2))
        self.check_error(
            attn("self", "--embeddings", words, "--normalization", "none", "--sinks", "0"),
            SERVER_ERROR, "options.sinks", "options.normalization")


if __name__ == "__main__":
    unittest.main()
