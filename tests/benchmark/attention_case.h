// Which attention problems are timed: shapes that models have, in every type and precision.

#ifndef ATTENTION_TESTS_BENCHMARK_ATTENTION_CASE_H_
#define ATTENTION_TESTS_BENCHMARK_ATTENTION_CASE_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kernels/attend.h"

namespace attention::benchmark {

// What a row asks for beyond its shape; timed beside the plain row of the same shape.
enum class TimedOption : uint8_t {
  kNone,
  kWindow,  // 256 keys to each side
  kAlibi,
  kBucketedBias,
  kSoftcap,
  kSinks,
  kSegments,  // four documents, one after the other
  kScatteredSegments,
  kBooleanMask,
  kAdditiveMask,
  kRotary,
  kLogSumExp,
  kStatistics,  // entropy, maximum, mass of the keys and the 8 largest weights
};

struct AttentionShape {
  std::string_view kind;  // "prefill", "decode", "tiny"
  std::string_view name;  // how rows are called
  int64_t batch = 1;
  int64_t query_head_count = 1;
  int64_t key_value_head_count = 1;
  int64_t query_count = 1;
  int64_t key_count = 1;
  int64_t width = 1;  // of keys and of values
  bool causal = false;
  bool padded = false;   // 60 % of the keys are padding, a different number in each batch entry
  bool weights = false;  // the weights are asked for
  TimedOption option = TimedOption::kNone;
  int buffer_count = 1;  // copies of keys and values, used in turn so that caches hold none
};

[[nodiscard]] std::span<const AttentionShape> AllAttentionShapes();

struct AttentionCase {
  const AttentionShape* shape;
  kernels::DataType type;
  kernels::Precision precision;
  int thread_count;
};

// KIND/SHAPE/ and RowSuffix.
[[nodiscard]] std::string Name(const AttentionCase& attention_case);

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_ATTENTION_CASE_H_
