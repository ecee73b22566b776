// Fused attention: the score matrix exists one tile at a time (Dao et al., "FlashAttention", 2022),
// the matrix products are oneDNN's, the running softmax is ours. Offers the dot product with
// softmax over keys and all that attend.h has for it, for F32, F16 (computed in f32) and BF16; but
// nothing in float64, and no scales and temperatures beyond what f32 carries (ScoreForm).

#ifndef ATTENTION_KERNELS_FUSED_FUSED_ATTENTION_H_
#define ATTENTION_KERNELS_FUSED_FUSED_ATTENTION_H_

#include "kernels/implementation.h"

namespace attention::kernels {

// One for each instruction set; in one process exactly one is usable, since oneDNN serves one at a
// time.
[[nodiscard]] const Implementation& FusedAmx();  // BF16 products on tile registers, F32 on AVX-512
[[nodiscard]] const Implementation& FusedAvx512Bf16();  // BF16 products of pairs, F32 on AVX-512
[[nodiscard]] const Implementation& FusedAvx512();      // BF16 is widened to F32
[[nodiscard]] const Implementation& FusedAvx2();        // BF16 is widened to F32

// What EstimatePackedBytes says of these: packed keys and values or partial results, and tables.
[[nodiscard]] double FusedBytes(const AttentionProblem& problem, const AttentionOptions& options,
                                const AttentionOutputs& outputs, int thread_count);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_FUSED_ATTENTION_H_
