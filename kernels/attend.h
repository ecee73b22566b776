// Attention on the CPU: the public interface of the kernels.
//
//   s[i, j] = scale * score(query[i], key[j])
//   s[i, j] = softcap * tanh(s[i, j] / softcap)            with a softcap
//   s[i, j] = s[i, j] * multiplicative_mask[i, j] + relative_bias(p - j) + additive_mask[i, j]
//   s[i, j] = -infinity  where key j is hidden from query i
//   s[i, j] = s[i, j] / temperature
//   w       = softmax of s over keys | softmax of s over queries | s (0 where hidden)
//   w       = head_factor * w
//   output[i] = sum over j of w[i, j] * value[j]
//
// for every batch entry and query head h, which reads key-value head h / (query heads / key-value
// heads). p = i + query offset is the position of query i among the keys. A row that sees no key
// gives zeros unless options.fully_masked asks otherwise. What is hidden reaches nothing but raw
// and capped scores, be it NaN or infinite.
//
// A score of -infinity weighs 0 in a softmax, whatever makes it so and even beside NaN, and a row
// of no other scores is one that sees no key. In f32, numbers are infinite from 2^128 on: scores,
// head factors, and sums of weighted values, which are divided by the sum of their weights last.
//
// Sources: Vaswani et al., "Attention Is All You Need" (2017), section 3.2; Milakov and Gimelshein,
// "Online normalizer calculation for softmax" (2018) and Dao et al., "FlashAttention" (2022) for
// the fused order of evaluation; the operator Attention of ONNX (opset 24) for the order of
// softcap, bias and masks. Where an option has a source of its own, it stands in
// attention_problem.h.

#ifndef ATTENTION_KERNELS_ATTEND_H_
#define ATTENTION_KERNELS_ATTEND_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/attention_problem.h"
#include "kernels/execution.h"
#include "kernels/tensor_view.h"

namespace attention::kernels {

// The largest weights of each row, in descending order; of equal ones the smaller key comes first.
// Only keys of a weight greater than 0 appear. Where the weights of a row are NaN, the first is NaN
// and the rest says nothing.
struct TopWeights {
  int64_t count = 0;          // 0: not asked for; at most kMaxTopWeights
  MutableTensorView weights;  // dense [batch, query heads, queries, count]; 0 where keys run out
  int32_t* keys = nullptr;    // the same shape; -1 where keys run out; of at most 2^31 - 1 keys
};
inline constexpr int64_t kMaxTopWeights = 256;

// Where results go. Written only if the status is OK, except that a computation that was stopped,
// or ran out of memory, may have begun. None may overlap an input or another output.
//
// Statistics describe the softmax over keys before head_factors, are dense and of type F32, or F64
// where the queries are. A row that sees nothing has no weights for them, whatever
// options.fully_masked says; a row whose weights are NaN has statistics that are NaN. None of them
// needs a score matrix in memory.
struct AttentionOutputs {
  MutableTensorView output;   // [batch, query heads, queries, value width], the type of the queries
  MutableTensorView weights;  // absent, or dense [batch, query heads, queries, keys]
  // Absent unless options.scores asks, or dense [batch, query heads, queries, keys].
  MutableTensorView scores;

  // Absent, or [batch, query heads, queries, 1].
  MutableTensorView log_sum_exp;  // ln(sum over visible j of e^s[i, j], + e^sink); -infinity for
                                  // a row that sees nothing
  MutableTensorView entropy;      // -sum over j of w ln w, in nats, without the sink's share; 0 for
                                  // a row that sees nothing
  MutableTensorView maximum_weight;  // the largest weight; 0 for a row that sees nothing

  // Absent, or [batch, query heads, 1, keys]: what all queries together gave the key.
  MutableTensorView key_mass;

  TopWeights top_weights;

  [[nodiscard]] bool AsksForStatistics() const {
    return log_sum_exp.present() || entropy.present() || maximum_weight.present() ||
           key_mass.present() || top_weights.count > 0;
  }
};

// What ran.
struct AttentionReport {
  std::string_view implementation;  // Implementation::name()
  std::string_view precision;       // of the matrix products: "f32", "bf16_x6", "bf16_x3", "bf16"
                                    // or "f64"; what most queries took, where they differ
  int thread_count = 1;             // threads that took part
};

// Computes attention.
//
// Returns kInvalidArgument, with nothing written, if the problem contradicts the contract above
// (the message names the field and both values); kUnimplemented if no usable implementation offers
// the combination; kResourceExhausted if there is no memory for working sets, packed operands or
// tables; kCancelled if execution.stop asked for it; kInternal if the matrix library failed. Thread
// safety: reentrant. Memory: working sets of a few MiB a thread and packed copies of
// keys and values; never a full score matrix that was not asked for.
[[nodiscard]] absl::StatusOr<AttentionReport> Attend(const AttentionProblem& problem,
                                                     const AttentionOptions& options,
                                                     const AttentionOutputs& outputs,
                                                     const Execution& execution = {});

// The checks that Attend makes first. Also checks that extents multiply without overflow.
[[nodiscard]] absl::Status Validate(const AttentionProblem& problem,
                                    const AttentionOptions& options,
                                    const AttentionOutputs& outputs);

// Floating point operations of the two matrix products over the (query, key) pairs that
// causality, prefixes, the window and key_lengths leave visible: 2 * pairs * (key width + value
// width). A double, since it must not overflow. Of a problem that Validate accepts.
[[nodiscard]] double EstimateFlops(const AttentionProblem& problem);

// Bytes of packed keys and values that Attend holds at most for this problem at a time on so many
// threads, or of partial results where queries are few, of turned queries and keys and their
// angles, of widened parameters of a score, and of the tables that biases, segments and the mass of
// keys need. A double, since it must not overflow. Extents alone matter, and which options and
// outputs are there. Never less on more threads: where there are plenty of heads, each thread packs
// one at a time, else all are packed at once.
[[nodiscard]] double EstimatePackedBytes(const AttentionProblem& problem,
                                         const AttentionOptions& options,
                                         const AttentionOutputs& outputs = {},
                                         int thread_count = 1);

// True if Attend would compute this in float64, element by element: much slower, so servers limit
// it apart.
[[nodiscard]] bool RunsInFloat64(const AttentionProblem& problem, const AttentionOptions& options);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ATTEND_H_
