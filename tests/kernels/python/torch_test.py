"""PyTorch tensors: read and written in place, bfloat16 included, with PyTorch's own results."""

import subprocess
import sys
import unittest

import attention_kernels
import ctest_main
from reference import operands, tolerance

try:
    import torch
except ImportError:
    torch = None

attend = attention_kernels.scaled_dot_product_attention


class TorchTest(unittest.TestCase):
    def setUp(self):
        self.arrays = operands()
        self.tensors = [torch.from_numpy(array) for array in self.arrays]

    def test_a_tensor_gives_a_tensor_with_the_arrays_bits(self):
        got = attend(*self.tensors)
        self.assertIsInstance(got, torch.Tensor)
        self.assertTrue(torch.equal(got, torch.from_numpy(attend(*self.arrays))))

    def test_agrees_with_pytorch(self):
        mask = torch.rand(4, 37, 53) > 0.3
        bias = torch.randn(2, 1, 37, 53)
        for options in ({}, {"is_causal": True}, {"attn_mask": mask}, {"attn_mask": bias},
                        {"attn_mask": bias.mT.contiguous().mT}, {"scale": 0.25}):
            with self.subTest(options=list(options)):
                want = torch.nn.functional.scaled_dot_product_attention(*self.tensors, **options)
                error = (attend(*self.tensors, **options) - want).abs().max()
                self.assertLess(error, 2 * tolerance(*self.arrays))

    def test_calls_written_for_pytorch_work_unchanged(self):
        mask = torch.rand(4, 37, 53) > 0.3
        query, key, value = self.tensors
        grouped = (query, key[:, :2], value[:, :2])
        for positional, options, arrays in (
                ((mask,), {}, self.tensors), ((mask, 0.0, False), {"scale": 0.5}, self.tensors),
                ((None, 0.0, True), {"enable_gqa": False}, self.tensors),
                ((), {"attn_mask": mask, "dropout_p": 0.0, "is_causal": False}, self.tensors),
                ((), {"enable_gqa": True}, grouped)):
            with self.subTest(positional=len(positional), options=list(options)):
                want = torch.nn.functional.scaled_dot_product_attention(
                    *arrays, *positional, **options)
                error = (attend(*arrays, *positional, **options) - want).abs().max()
                self.assertLess(error, 4 * tolerance(*self.arrays))

    def test_unshared_heads_are_as_pytorch_has_them(self):
        pytorch = torch.nn.functional.scaled_dot_product_attention
        query, key, value = self.tensors
        with self.assertRaises(RuntimeError):
            pytorch(query, key[:, :2], value[:, :2], enable_gqa=False)
        with self.assertRaises(ValueError):
            attend(query, key[:, :2], value[:, :2], enable_gqa=False)
        want = pytorch(query, key[:, :1], value[:, :1], enable_gqa=False)
        got = attend(query, key[:, :1], value[:, :1], enable_gqa=False)
        self.assertLess((got - want).abs().max(), 2 * tolerance(*self.arrays))

    def test_bfloat16_stays_bfloat16(self):
        rounded = [tensor.to(torch.bfloat16) for tensor in self.tensors]
        got, weights, report = attend(*rounded, return_weights=True, return_report=True)
        self.assertEqual((got.dtype, weights.dtype), (torch.bfloat16, torch.bfloat16))
        exact = [tensor.to(torch.float32) for tensor in rounded]
        want = torch.nn.functional.scaled_dot_product_attention(*exact)
        bound = tolerance(*(tensor.numpy() for tensor in exact), unit=2.0**-8)
        self.assertLess((got.to(torch.float32) - want).abs().max(), bound)
        self.assertIn(report.precision, ("bf16", "f32"))

    def test_writes_into_a_tensor(self):
        out = torch.zeros(2, 37, 4, 24).transpose(1, 2)
        self.assertIs(attend(*self.tensors, out=out), out)
        self.assertTrue(torch.equal(out, attend(*self.tensors)))

    def test_tensors_and_arrays_mix(self):
        mask = torch.rand(53) > 0.3
        got = attend(self.tensors[0], *self.arrays[1:], attn_mask=mask)
        want = attend(*self.arrays, attn_mask=mask.numpy())
        self.assertTrue(torch.equal(got, torch.from_numpy(want)))

    def test_lengths_may_be_a_tensor(self):
        got = attend(*self.tensors, key_lengths=torch.tensor([7, 20]))
        self.assertTrue(torch.equal(got, attend(*self.tensors, key_lengths=[7, 20])))

    def test_either_may_be_imported_first(self):
        for modules in ("torch, attention_kernels", "attention_kernels, torch"):
            program = (f"import {modules}; x = torch.ones(1, 5, 3); "
                       "print(attention_kernels.scaled_dot_product_attention(x, x, x).equal(x))")
            said = subprocess.run([sys.executable, "-B", "-c", program], check=True,
                                  capture_output=True, text=True).stdout
            self.assertEqual(said, "True\n")

    def test_a_gradient_is_refused_and_not_lost(self):
        tensor = self.tensors[0].clone().requires_grad_()
        with self.assertRaisesRegex(ValueError, "query: .*gradient"):
            attend(tensor, *self.tensors[1:])
        with torch.no_grad():
            self.assertTrue(torch.equal(attend(tensor, *self.tensors[1:]), attend(*self.tensors)))

    def test_another_device_is_refused(self):
        with self.assertRaisesRegex(ValueError, "^query: got a tensor on meta, want one on"):
            attend(self.tensors[0].to("meta"), *self.tensors[1:])

    def test_signs_that_are_still_to_be_flipped_are_refused(self):
        arguments = {"query": torch._neg_view(self.tensors[0]), "key": self.tensors[1],
                     "value": self.tensors[2]}
        with self.assertRaisesRegex(ValueError, r"^query: got .*, want its resolve_neg\(\)"):
            attend(**arguments)
        mask = torch.complex(torch.ones(37, 53), torch.randn(37, 53)).conj().imag
        with self.assertRaisesRegex(ValueError, r"^attn_mask: got .*, want its resolve_neg\(\)"):
            attend(*self.tensors, attn_mask=mask)
        self.assertTrue(torch.equal(attend(*self.tensors, attn_mask=mask.resolve_neg()),
                                    attend(*self.tensors, attn_mask=mask.clone())))

    def test_another_layout_is_refused(self):
        with self.assertRaisesRegex(TypeError, "^key: got a tensor of torch.sparse_coo"):
            attend(self.tensors[0], self.tensors[1].to_sparse(), self.tensors[2])


if __name__ == "__main__":
    if torch is None:
        ctest_main.skip("PyTorch cannot be imported; `deploy/test peers` runs this where it can")
    unittest.main()
