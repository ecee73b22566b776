#include "server/core/result_arrays.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace attention::server {
namespace {

using kernels::DataType;
using kernels::Extents;

// Two batch entries of 3 heads, 5 queries, 7 keys and values of width 4, all arrays wanted.
AttentionTask Everything(DataType type) {
  AttentionTask task;
  task.type = type;
  task.query.view.extents = {2, 3, 5, 4};
  task.key.view.extents = {2, 3, 7, 4};
  task.value.view.extents = {2, 3, 7, 4};
  task.return_weights = true;
  task.options.scores = kernels::ScoresOutput::kCapped;
  task.statistics = {.log_sum_exp = true,
                     .entropy = true,
                     .maximum_weight = true,
                     .key_mass = true,
                     .top_weight_count = 6};
  return task;
}

// Memory for each member: its offset in the result tells which it is.
kernels::AttentionOutputs OutputsIn(const AttentionTask& task, AttentionResult& result) {
  return OutputsOf(task, &result.output,
                   [&result](ResultMember member) -> void* { return &(result.*member); });
}

TEST(ResultArraysTest, HasNoMemberTwice) {
  const auto arrays = ResultArraysOf(Everything(DataType::kF32));
  for (size_t i = 0; i < arrays.size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_NE(arrays[i].member, arrays[j].member) << i << " " << j;
  }
}

// What is allocated is what the kernels write: as many bytes, in the same member.
TEST(ResultArraysTest, ViewsEveryWantedArrayWithAllOfItsBytes) {
  for (const DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64}) {
    const AttentionTask task = Everything(type);
    AttentionResult result;
    const kernels::AttentionOutputs outputs = OutputsIn(task, result);
    const std::vector<kernels::MutableTensorView> views = {
        outputs.output,  outputs.weights,        outputs.scores,   outputs.log_sum_exp,
        outputs.entropy, outputs.maximum_weight, outputs.key_mass, outputs.top_weights.weights};
    size_t viewed_count = 0;
    for (const ResultArray& array : ResultArraysOf(task)) {
      ASSERT_TRUE(array.wanted);
      for (const kernels::MutableTensorView& view : views) {
        if (view.data != &(result.*array.member)) continue;
        EXPECT_EQ(view.extents, array.extents);
        EXPECT_EQ(kernels::ElementBytes(view.type), static_cast<size_t>(array.element_bytes));
        ++viewed_count;
      }
    }
    EXPECT_EQ(viewed_count, views.size());
    EXPECT_EQ(static_cast<void*>(outputs.top_weights.keys), &result.top_keys);
    EXPECT_EQ(outputs.top_weights.count, 6);
    EXPECT_EQ(outputs.top_weights.weights.extents, (Extents{2, 3, 5, 6}));
    EXPECT_EQ(outputs.key_mass.extents, (Extents{2, 3, 1, 7}));
    EXPECT_EQ(outputs.entropy.type, type == DataType::kF64 ? DataType::kF64 : DataType::kF32);
    EXPECT_EQ(outputs.scores.type, type);
  }
}

TEST(ResultArraysTest, WantsTheOutputAloneUnlessAsked) {
  AttentionTask task = Everything(DataType::kF32);
  task.return_weights = false;
  task.options.scores = kernels::ScoresOutput::kNone;
  task.statistics = {};
  size_t wanted_count = 0;
  for (const ResultArray& array : ResultArraysOf(task)) wanted_count += array.wanted ? 1 : 0;
  EXPECT_EQ(wanted_count, 1U);
  AttentionResult result;
  const kernels::AttentionOutputs outputs = OutputsIn(task, result);
  EXPECT_FALSE(outputs.weights.present() || outputs.scores.present());
  EXPECT_FALSE(outputs.AsksForStatistics());
}

TEST(ResultArraysTest, LaysTheHeadsOutAsTheTaskSays) {
  AttentionTask task = Everything(DataType::kF32);
  AttentionResult result;
  task.output_layout = OutputLayout::kSequenceFirst;
  EXPECT_EQ(OutputsIn(task, result).output.strides, (Extents{5 * 12, 4, 12, 1}));
  task.output_layout = OutputLayout::kHeadsFirst;
  EXPECT_EQ(OutputsIn(task, result).output.strides, (Extents{3 * 20, 20, 4, 1}));
}

}  // namespace
}  // namespace attention::server
