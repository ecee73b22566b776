"""torch_attention.py TYPE HEADS FOLDER: what nn.MultiheadAttention makes of FOLDER/arrays.npz.

Writes FOLDER/output.npy. A program of its own, so that any Python that has torch can run it.
"""

import sys

import numpy
import torch


def main(type_name, head_count, folder):
    arrays = numpy.load(f"{folder}/arrays.npz")
    torch_type = {"F32": torch.float32, "BF16": torch.bfloat16}[type_name]
    tensor = {name: torch.from_numpy(arrays[name]).to(torch_type) for name in arrays.files}
    embeddings = tensor["embeddings"]
    attention = torch.nn.MultiheadAttention(
        embeddings.shape[-1], int(head_count), batch_first=True, dtype=torch_type).eval()
    inputs = ("query", "key", "value")
    with torch.inference_mode():
        # torch multiplies by the transposed weight: its rows are outputs.
        attention.in_proj_weight.copy_(torch.cat([tensor[f"{name}_weight"].T for name in inputs]))
        attention.in_proj_bias.copy_(torch.cat([tensor[f"{name}_bias"] for name in inputs]))
        attention.out_proj.weight.copy_(tensor["output_weight"].T)
        attention.out_proj.bias.copy_(tensor["output_bias"])
        output, _ = attention(embeddings, embeddings, embeddings, need_weights=False)
    numpy.save(f"{folder}/output.npy", output.to(torch.float64).numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
