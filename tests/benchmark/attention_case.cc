#include "tests/benchmark/attention_case.h"

#include <array>

#include "tests/benchmark/row_timing.h"

namespace attention::benchmark {
namespace {

constexpr AttentionShape Prefill(std::string_view name, int64_t head_count, int64_t token_count,
                                 int64_t width, bool causal = false) {
  AttentionShape shape;
  shape.kind = "prefill";
  shape.name = name;
  shape.query_head_count = shape.key_value_head_count = head_count;
  shape.query_count = shape.key_count = token_count;
  shape.width = width;
  shape.causal = causal;
  return shape;
}

constexpr AttentionShape Batch(std::string_view name, int64_t token_count, bool padded) {
  AttentionShape shape = Prefill(name, 12, token_count, 64);
  shape.batch = 8;
  shape.padded = padded;
  return shape;
}

constexpr AttentionShape WithWeights(AttentionShape shape) {
  shape.weights = true;
  return shape;
}

constexpr AttentionShape With(TimedOption option, std::string_view name, bool causal = false) {
  AttentionShape shape = Prefill(name, 8, 1024, 64, causal);
  shape.option = option;
  return shape;
}

constexpr AttentionShape Grouped(std::string_view kind, std::string_view name) {
  AttentionShape shape = Prefill(name, 32, 1024, 128, true);
  shape.kind = kind;
  shape.key_value_head_count = 8;
  return shape;
}

constexpr AttentionShape Decode(std::string_view name, int buffer_count) {
  AttentionShape shape = Grouped("decode", name);
  shape.query_count = 1;
  shape.key_count = 4096;
  shape.causal = false;
  shape.buffer_count = buffer_count;
  return shape;
}

constexpr AttentionShape Cross() {
  AttentionShape shape = Prefill("8x128on4096x64", 8, 128, 64);
  shape.key_count = 4096;
  return shape;
}

constexpr AttentionShape Tiny() {
  AttentionShape shape = Prefill("1x9x3", 1, 9, 3);
  shape.kind = "tiny";
  return shape;
}

// Heads x tokens x width; 32-8: that many query heads on that many key-value heads; aonb: a queries
// on b keys.
constexpr std::array kShapes = {
    Prefill("8x512x64", 8, 512, 64),
    Prefill("8x512x64_causal", 8, 512, 64, true),
    Prefill("8x1024x64", 8, 1024, 64),
    Prefill("8x1024x64_causal", 8, 1024, 64, true),
    With(TimedOption::kWindow, "8x1024x64_window"),
    With(TimedOption::kWindow, "8x1024x64_causal_window", true),
    With(TimedOption::kAlibi, "8x1024x64_alibi"),
    With(TimedOption::kAlibi, "8x1024x64_causal_alibi", true),
    With(TimedOption::kBucketedBias, "8x1024x64_bucketed_bias"),
    With(TimedOption::kSoftcap, "8x1024x64_softcap"),
    With(TimedOption::kSinks, "8x1024x64_sinks"),
    With(TimedOption::kSegments, "8x1024x64_segments"),
    With(TimedOption::kScatteredSegments, "8x1024x64_scattered_segments"),
    With(TimedOption::kBooleanMask, "8x1024x64_boolean_mask"),
    With(TimedOption::kAdditiveMask, "8x1024x64_additive_mask"),
    With(TimedOption::kRotary, "8x1024x64_rotary"),
    With(TimedOption::kLogSumExp, "8x1024x64_log_sum_exp"),
    With(TimedOption::kStatistics, "8x1024x64_statistics"),
    Prefill("8x2048x64", 8, 2048, 64),
    Prefill("8x2048x64_causal", 8, 2048, 64, true),
    Prefill("8x2048x128", 8, 2048, 128),
    Prefill("8x2048x128_causal", 8, 2048, 128, true),
    Cross(),
    Batch("batch8_12x128x64", 128, false),
    Batch("batch8_12x128x64_padded", 128, true),
    Batch("batch8_12x512x64", 512, false),
    Batch("batch8_12x512x64_padded", 512, true),
    Prefill("16x197x64", 16, 197, 64),
    Prefill("8x1000x80", 8, 1000, 80),
    Prefill("8x333x48", 8, 333, 48),
    Grouped("prefill", "32-8x1024x128_causal"),
    WithWeights(Prefill("8x512x64_weights", 8, 512, 64)),
    WithWeights(Prefill("8x1024x64_causal_weights", 8, 1024, 64, true)),
    Decode("32-8x1on4096x128", 1),
    Decode("32-8x1on4096x128_8buffers", 8),
    Tiny(),
};

}  // namespace

std::span<const AttentionShape> AllAttentionShapes() { return kShapes; }

std::string Name(const AttentionCase& attention_case) {
  std::string name(attention_case.shape->kind);
  name.append("/").append(attention_case.shape->name).append("/");
  return name.append(
      RowSuffix(attention_case.type, attention_case.precision, attention_case.thread_count));
}

}  // namespace attention::benchmark
