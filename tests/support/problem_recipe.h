// Descriptions of attention problems, from which tests make them.

#ifndef ATTENTION_TESTS_SUPPORT_PROBLEM_RECIPE_H_
#define ATTENTION_TESTS_SUPPORT_PROBLEM_RECIPE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <ostream>

#include "kernels/attend.h"
#include "tests/support/test_tensor.h"

namespace attention::test {

struct MaskRecipe {
  std::array<bool, 4> broadcast = {false, false, false, false};  // along batch, head, query, key
  kernels::DataType type = kernels::DataType::kF32;              // ignored for a boolean mask
  double hidden_share = 0.3;  // of pairs, for the kinds that can hide
};

struct BlockMaskRecipe {
  int64_t query_block_size = 1;
  int64_t key_block_size = 1;
  std::array<bool, 4> broadcast = {false, false, false, false};
  double hidden_share = 0.3;  // of blocks
};

struct SegmentRecipe {
  int64_t count = 3;
  bool contiguous = true;  // or each row of a segment drawn by itself
};

struct BucketedBiasRecipe {
  int64_t bucket_count = 32;
  int64_t maximum_distance = 128;
  bool bidirectional = true;
};

// What is asked for besides the output.
struct StatisticsRecipe {
  bool log_sum_exp = false;
  bool entropy = false;
  bool maximum_weight = false;
  bool key_mass = false;
  int64_t top_count = 0;

  static StatisticsRecipe All(int64_t top_count) { return {true, true, true, true, top_count}; }
};

struct ProblemRecipe {
  int64_t batch = 1;
  int64_t query_head_count = 1;
  int64_t key_value_head_count = 1;
  int64_t query_count = 4;
  int64_t key_count = 4;
  int64_t key_width = 8;
  int64_t value_width = 8;
  int64_t hidden_width = 5;  // of the additive score
  kernels::DataType type = kernels::DataType::kF32;
  Layout layout = Layout::kDense;
  kernels::AttentionOptions options;

  std::optional<int64_t> causal_offset;  // causal, with this offset of the queries
  int64_t query_offset = 0;              // where there is no causal_offset
  bool query_offsets = false;            // one for each batch entry, around the offset above
  bool prefix_lengths = false;           // random ones, 0 and the number of keys among them
  std::optional<int64_t> left_window;
  std::optional<int64_t> right_window;
  bool key_lengths = false;  // random ones, 0 and the number of keys among them
  std::optional<SegmentRecipe> segments;
  std::optional<BlockMaskRecipe> block_mask;
  std::optional<MaskRecipe> boolean_mask;
  std::optional<MaskRecipe> additive_mask;
  std::optional<MaskRecipe> multiplicative_mask;

  bool sinks = false;         // around the scores
  bool temperatures = false;  // between 0.5 and 2
  bool head_factors = false;  // 0 and 1 among them
  bool alibi = false;
  bool symmetric_alibi = false;
  std::optional<BucketedBiasRecipe> bucketed_bias;
  std::optional<kernels::RotaryEmbedding> rotary;

  bool weights = false;
  StatisticsRecipe statistics;
  double magnitude = 1.0;  // of the elements of queries, keys and values
  uint64_t seed = 1;
};

// Everything that is needed to make the problem again.
std::ostream& operator<<(std::ostream& stream, const ProblemRecipe& recipe);

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_PROBLEM_RECIPE_H_
