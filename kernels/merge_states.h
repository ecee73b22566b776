// Joins what attention over parts of the keys gave into what it would have given over all of them:
//
//   m = max over s of log_sum_exp[s]
//   e[s] = exp(log_sum_exp[s] - m)
//   output = sum of e[s] output[s] / sum of e[s]
//   log_sum_exp = m + ln(sum of e[s])
//
// for each query of each head. A state whose log_sum_exp is -infinity saw no key: it counts
// nothing, whatever its output holds. If all are, the output is zero and log_sum_exp -infinity, as
// Attend gives for a query that sees nothing. A log_sum_exp of NaN or +infinity makes the result
// NaN.
//
// Weights and sums are float64, results rounded once, so that no output of finite numbers becomes
// infinite but for a rounding at the end of F64's range. A single state comes out as it is. The
// order of the states matters for roundings of float64 alone. A sink belongs to one of the states.
//
// Source: Ye et al., "FlashInfer" (2024), section 2.2.

#ifndef ATTENTION_KERNELS_MERGE_STATES_H_
#define ATTENTION_KERNELS_MERGE_STATES_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/execution.h"
#include "kernels/tensor_view.h"

namespace attention::kernels {

// Attention over some keys.
struct AttentionState {
  TensorView output;       // [batch, heads, queries, value width]: F32, F16, BF16 or F64
  TensorView log_sum_exp;  // [batch, heads, queries, 1]: F32, or F64 where the output is F64
};

struct MergedState {
  MutableTensorView output;
  MutableTensorView log_sum_exp;
};

// All states and the result share extents and types; strides are each their own. The result may be
// the memory of a state with the same strides, and must not overlap one otherwise. A row's bits
// depend on that row alone. Memory: a few numbers for each state and thread, which threads keep.
//
// Returns how many threads took part; kInvalidArgument, with nothing written, naming the field and
// both values, also for no states at all; kCancelled if stopped; kResourceExhausted without memory.
// Thread safety: reentrant.
[[nodiscard]] absl::StatusOr<int> MergeAttentionStates(std::span<const AttentionState> states,
                                                       const MergedState& merged,
                                                       const Execution& execution = {});

// The checks that MergeAttentionStates makes of the states.
[[nodiscard]] absl::Status ValidateAttentionStates(std::span<const AttentionState> states);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_MERGE_STATES_H_
