#include "server/core/ragged_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace attention::server {
namespace {

using kernels::AttentionOptions;
using kernels::AttentionOutputs;
using kernels::AttentionProblem;
using kernels::DataType;
using kernels::DenseView;
using kernels::Extents;
using kernels::TensorView;
using testing::ElementsAre;

// Two query heads and one key-value head, heads side by side; three sequences with 2, 0 and 3
// queries and 1, 4 and 3 keys. Widths 4 and 2.
struct Batch {
  Batch() {
    problem.query = {query.data(), DataType::kF32, {1, 2, 5, 4}, {40, 4, 8, 1}};
    problem.key = DenseView(key.data(), DataType::kF32, {1, 1, 8, 4});
    problem.value = DenseView(value.data(), DataType::kF32, {1, 1, 8, 2});
    outputs.output = {output.data(), DataType::kF32, {1, 2, 5, 2}, {20, 2, 4, 1}};
    rows.query_starts = {0, 2, 2, 5};
    rows.key_starts = {0, 1, 5, 8};
  }

  [[nodiscard]] absl::Status Validate() const {
    return ValidateRagged(problem, rows, options, outputs);
  }

  std::vector<float> query = std::vector<float>(40);
  std::vector<float> key = std::vector<float>(32);
  std::vector<float> value = std::vector<float>(16);
  std::vector<float> output = std::vector<float>(20);
  std::vector<int64_t> offsets = {-1, 4, 7};
  std::vector<int64_t> lengths = {1, 0, 3};
  RaggedRows rows;
  AttentionProblem problem;
  AttentionOptions options;
  AttentionOutputs outputs;
};

TEST(RaggedBatchTest, CutsOutTheRowsOfASequence) {
  const Batch batch;
  EXPECT_EQ(batch.rows.sequence_count(), 3);
  const AttentionProblem last = SequenceOf(batch.problem, batch.rows, 2);
  EXPECT_EQ(last.query.data, batch.query.data() + 2 * 8);
  EXPECT_EQ(last.query.extents, (Extents{1, 2, 3, 4}));
  EXPECT_EQ(last.query.strides, batch.problem.query.strides);
  EXPECT_EQ(last.key.data, batch.key.data() + 5 * 4);
  EXPECT_EQ(last.key.extents, (Extents{1, 1, 3, 4}));
  EXPECT_EQ(last.value.data, batch.value.data() + 5 * 2);
  EXPECT_EQ(last.value.extents, (Extents{1, 1, 3, 2}));
  EXPECT_EQ(SequenceOf(batch.problem, batch.rows, 1).query.extents[2], 0);
  EXPECT_EQ(SequenceOf(batch.problem, batch.rows, 1).key.extents[2], 4);
  const AttentionOutputs outputs = SequenceOf(batch.outputs, batch.rows, 2);
  EXPECT_EQ(outputs.output.data, batch.output.data() + 2 * 4);
  EXPECT_EQ(outputs.output.extents, (Extents{1, 2, 3, 2}));
}

TEST(RaggedBatchTest, GivesASequenceItsOwnOffsetAndLengths) {
  Batch batch;
  batch.problem.query_offset = 9;
  AttentionProblem second = SequenceOf(batch.problem, batch.rows, 1);
  EXPECT_EQ(second.query_offset, 9);
  EXPECT_TRUE(second.key_lengths.empty());
  batch.problem.query_offsets = batch.offsets;
  batch.problem.key_lengths = batch.lengths;
  batch.problem.prefix_lengths = batch.lengths;
  second = SequenceOf(batch.problem, batch.rows, 1);
  EXPECT_EQ(second.query_offset, 4);
  EXPECT_TRUE(second.query_offsets.empty());
  EXPECT_THAT(second.key_lengths, ElementsAre(0));
  EXPECT_THAT(SequenceOf(batch.problem, batch.rows, 2).prefix_lengths, ElementsAre(3));
}

TEST(RaggedBatchTest, GivesAStatisticOfASequenceAPlaceOfItsOwn) {
  Batch batch;
  std::vector<float> rows(2 * 5), keys(2 * 8), top(2 * 5 * 3);
  std::vector<int32_t> top_keys(2 * 5 * 3);
  batch.outputs.log_sum_exp = DenseView(rows.data(), DataType::kF32, {1, 2, 5, 1});
  batch.outputs.key_mass = DenseView(keys.data(), DataType::kF32, {1, 2, 1, 8});
  batch.outputs.top_weights = {3, DenseView(top.data(), DataType::kF32, {1, 2, 5, 3}),
                               top_keys.data()};
  const AttentionOutputs last = SequenceOf(batch.outputs, batch.rows, 2);
  EXPECT_EQ(last.log_sum_exp.data, rows.data() + 2 * 2);
  EXPECT_EQ(last.log_sum_exp.extents, (Extents{1, 2, 3, 1}));
  EXPECT_EQ(last.log_sum_exp.strides, (Extents{6, 3, 1, 1}));
  EXPECT_FALSE(last.entropy.present());
  EXPECT_EQ(last.key_mass.data, keys.data() + 2 * 5);
  EXPECT_EQ(last.key_mass.extents, (Extents{1, 2, 1, 3}));
  EXPECT_EQ(last.top_weights.weights.data, top.data() + 2 * 2 * 3);
  EXPECT_EQ(last.top_weights.weights.extents, (Extents{1, 2, 3, 3}));
  EXPECT_EQ(last.top_weights.keys, top_keys.data() + 2 * 2 * 3);
}

TEST(RaggedBatchTest, ArrangesStatisticsByHead) {
  const std::vector<int64_t> starts = {0, 2, 2, 5};
  // Two heads of the first sequence, then of the third.
  const std::vector<int16_t> by_sequence = {0, 1, 10, 11, 2, 3, 4, 12, 13, 14};
  std::vector<int16_t> by_head(10);
  ArrangeByHead(by_sequence.data(), starts, 2, 2, by_head.data());
  EXPECT_THAT(by_head, ElementsAre(0, 1, 2, 3, 4, 10, 11, 12, 13, 14));
  // Rows of two numbers.
  const std::vector<int16_t> pairs = {0, 1, 10, 11, 2, 3, 12, 13};
  std::vector<int16_t> arranged(8);
  ArrangeByHead(pairs.data(), std::vector<int64_t>{0, 1, 2}, 2, 4, arranged.data());
  EXPECT_THAT(arranged, ElementsAre(0, 1, 2, 3, 10, 11, 12, 13));
}

TEST(RaggedBatchTest, AcceptsSequencesThatFitTheRows) {
  Batch batch;
  EXPECT_TRUE(batch.Validate().ok()) << batch.Validate();
  batch.problem.causal = true;
  batch.problem.query_offsets = batch.offsets;
  batch.problem.key_lengths = batch.lengths;
  EXPECT_TRUE(batch.Validate().ok()) << batch.Validate();
}

using Change = std::function<void(Batch&)>;

void ExpectRefused(const Change& change, absl::StatusCode code, const std::string& message) {
  Batch batch;
  change(batch);
  const absl::Status status = batch.Validate();
  EXPECT_EQ(status.code(), code) << message;
  EXPECT_NE(status.message().find(message), absl::string_view::npos) << status;
}

TEST(RaggedBatchTest, RefusesSequencesThatDoNotFitTheRows) {
  const std::vector<std::pair<Change, std::string>> cases = {
      {[](Batch& b) { b.problem.query.extents[0] = 2; }, "batch: got 2, want 1"},
      {[](Batch& b) { b.problem.value.extents[2] = 7; },
       "value.extents[2]: got 7, want 8 as key.extents[2]"},
      {[](Batch& b) { b.rows.query_starts = {}; }, "query_starts: got 0 starts, want at least 2"},
      {[](Batch& b) { b.rows.key_starts = {0}; }, "key_starts: got 1 starts, want at least 2"},
      {[](Batch& b) { b.rows.query_starts[0] = 1; }, "query_starts[0]: got 1, want 0"},
      {[](Batch& b) { b.rows.query_starts[2] = 1; }, "query_starts[2]: got 1, want >= 2"},
      {[](Batch& b) { b.rows.key_starts[3] = 7; },
       "key_starts[3]: got 7, want 8, the number of rows"},
      {[](Batch& b) { b.rows.key_starts = {0, 8}; },
       "key_starts: got 2 starts, want 4 as query_starts"},
      {[](Batch& b) { b.problem.query_offsets = std::span(b.offsets).first(2); },
       "query_offsets: got 2 elements, want 3, the sequences"},
      {[](Batch& b) { b.problem.key_lengths = std::span(b.lengths).first(1); },
       "key_lengths: got 1 elements, want 3, the sequences"},
      {[](Batch& b) {
         b.lengths[1] = 5;
         b.problem.key_lengths = b.lengths;
       },
       "key_lengths[1]: got 5, want between 0 and 4"},
      {[](Batch& b) {
         b.lengths[2] = -1;
         b.problem.prefix_lengths = b.lengths;
       },
       "prefix_lengths[2]: got -1, want between 0 and 3"},
      {[](Batch& b) { b.problem.key.extents[3] = 3; }, "key.extents[3]"},  // the kernels' own
  };
  for (const auto& [change, message] : cases) {
    ExpectRefused(change, absl::StatusCode::kInvalidArgument, message);
  }
}

TEST(RaggedBatchTest, DoesNotOfferWhatHasNoPlaceForSequences) {
  static const uint8_t kByte = 1;
  static const int32_t kSegments[8] = {};
  static float memory[80];
  const TensorView mask = {&kByte, DataType::kBool, {1, 2, 5, 8}, {0, 0, 0, 0}};
  const std::vector<std::pair<Change, std::string>> cases = {
      {[&](Batch& b) { b.problem.boolean_mask = mask; }, "boolean_mask"},
      {[&](Batch& b) { b.problem.additive_mask = mask; }, "additive_mask"},
      {[&](Batch& b) { b.problem.multiplicative_mask = mask; }, "multiplicative_mask"},
      {[&](Batch& b) { b.problem.block_mask.mask = mask; }, "block_mask"},
      {[](Batch& b) { b.problem.query_segments = std::span(kSegments).first(5); },
       "query_segments"},
      {[](Batch& b) { b.problem.key_segments = kSegments; }, "key_segments"},
      {[](Batch& b) { b.outputs.weights = DenseView(memory, DataType::kF32, {1, 2, 5, 8}); },
       "weights"},
      {[](Batch& b) { b.options.scores = kernels::ScoresOutput::kRaw; }, "scores"},
  };
  for (const auto& [change, field] : cases) {
    ExpectRefused(change, absl::StatusCode::kUnimplemented,
                  field + ": not offered with a ragged batch");
  }
}

}  // namespace
}  // namespace attention::server
