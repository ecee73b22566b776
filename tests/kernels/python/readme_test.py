"""The examples of kernels/python/README.md run as they stand and give what they say."""

import pathlib
import re
import unittest

import numpy

from reference import attention, causal, tolerance

try:
    import torch
except ImportError:
    torch = None

README = pathlib.Path(__file__).resolve().parents[3] / "kernels/python/README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"),
                      flags=re.MULTILINE | re.DOTALL)


def run(words, **names):
    """The names after the one example that has the words."""
    example, = (each for each in EXAMPLES if words in each)
    exec(compile(example, str(README), "exec"), names)
    return names


class ReadmeTest(unittest.TestCase):
    def test_every_example_has_a_test(self):
        self.assertEqual(len(EXAMPLES), 3)

    def assert_attends(self, names, visible=True):
        arrays = [names[name] for name in ("query", "key", "value")]
        want, _ = attention(*arrays, visible=visible)
        self.assertLess(numpy.abs(names["output"] - want).max(), 2 * tolerance(*arrays))

    def test_the_first_call(self):
        self.assert_attends(run("is_causal=True"), causal(1024, 1024))

    def test_keys_in_shards(self):
        self.assert_attends(run("merge_attention_states"))

    @unittest.skipIf(torch is None, "PyTorch cannot be imported")
    def test_a_layer(self):
        module = torch.nn.MultiheadAttention(64, 4, batch_first=True).eval()
        embeddings = torch.randn(2, 512, 64)
        names = run("MultiHeadAttention", module=module, embeddings=embeddings)
        padding = torch.arange(512) >= torch.tensor([512, 300])[:, None]
        with torch.inference_mode():
            want, _ = module(embeddings, embeddings, embeddings, key_padding_mask=padding,
                             need_weights=False)
        self.assertLess((names["output"] - want).abs().max(), 1e-5)


if __name__ == "__main__":
    unittest.main()
