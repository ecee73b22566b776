// Operands and results of a timed attention problem.

#ifndef ATTENTION_TESTS_BENCHMARK_ATTENTION_OPERANDS_H_
#define ATTENTION_TESTS_BENCHMARK_ATTENTION_OPERANDS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/aligned_array.h"
#include "kernels/attend.h"
#include "tests/benchmark/attention_case.h"

namespace attention::benchmark {

// Of what a shape asks for.
[[nodiscard]] kernels::AttentionOptions Options(const AttentionShape& shape);

// N(0, 1) operands.
class AttentionOperands {
 public:
  AttentionOperands(const AttentionShape& shape, kernels::DataType type);

  // Made once in a process for each shape and type, since it takes longer than what is timed.
  static AttentionOperands& Of(const AttentionShape& shape, kernels::DataType type);

  // With the keys and values of copy `buffer`.
  [[nodiscard]] kernels::AttentionProblem Problem(int buffer = 0) const;
  [[nodiscard]] kernels::AttentionOutputs Outputs();
  // The same, filled with NaN: what a computation does not write is then no result.
  [[nodiscard]] kernels::AttentionOutputs UnwrittenOutputs();

  // Those of the two products, for each visible pair of a query and a key.
  [[nodiscard]] double Flops() const;

  // The keys and values of all copies.
  [[nodiscard]] std::span<const std::span<const std::byte>> key_value_buffers() const {
    return key_value_buffers_;
  }

 private:
  using Bytes = kernels::AlignedArray<std::byte>;

  const AttentionShape& shape_;
  const kernels::DataType type_;
  Bytes query_;
  std::vector<Bytes> keys_and_values_;  // of each copy: the keys, then the values
  std::vector<std::span<const std::byte>> key_value_buffers_;
  std::vector<int64_t> key_lengths_;
  Bytes output_;
  Bytes weights_;

  // Of the pairs that causality, windows and lengths leave, the share that segments or a mask leave
  // as well. Only shapes with one batch entry, whose pairs are all left, have one of these.
  [[nodiscard]] double VisibleShare() const;

  // What options need, each for all heads or rows.
  void MakeOptions();
  void AskForStatistics(kernels::AttentionOutputs& outputs);
  std::vector<double> slopes_;
  std::vector<double> bias_table_;
  std::vector<double> sinks_;
  std::vector<int32_t> segments_;
  std::vector<uint8_t> boolean_mask_;  // one for all heads
  std::vector<float> additive_mask_;
  std::vector<float> statistics_;
  std::vector<int32_t> top_keys_;
};

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_ATTENTION_OPERANDS_H_
