// Attention for a few queries, as in decoding: keys and values are read once for all query heads of
// a group, in place, and split into chunks whose partial results are merged exactly (as in
// "FlashDecoding", Dao et al., 2023).

#ifndef ATTENTION_KERNELS_FUSED_DECODE_H_
#define ATTENTION_KERNELS_FUSED_DECODE_H_

#include "absl/status/statusor.h"
#include "kernels/fused/fused_call.h"

namespace attention::kernels {

// Whether ComputeDecode is made for this problem: few queries, and no score matrix to return.
// Depends on the extents but for the batch, on the type, on the outputs asked for and on the
// instruction set alone. The problem is one that fused attention offers.
[[nodiscard]] bool IsDecode(const AttentionProblem& problem, const AttentionOptions& options,
                            const AttentionOutputs& outputs);

// Bytes of partial results, and of scores that statistics need, that ComputeDecode holds. A double,
// since it must not overflow.
[[nodiscard]] double DecodeBytes(const AttentionProblem& problem, const AttentionOutputs& outputs);

// Computes it; returns the number of threads that took part. The chunks depend on the key count
// and on what is visible alone. Throws std::bad_alloc. Stops between chunks.
[[nodiscard]] int ComputeDecode(const FusedCall& call);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_DECODE_H_
