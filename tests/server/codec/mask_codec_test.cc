#include "server/codec/mask_codec.h"

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/codec/messages.h"
#include "tests/server/codec/options_fixture.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using kernels::Extents;
using test::DecodeOptionsOf;
using test::ExpectRefused;
using test::Floats;
using test::IsOk;
using test::Raw;
using test::Refusal;
using test::StatusIs;
using test::TaskOf;
using test::Zeros;
using testing::ElementsAre;

using Shape = std::vector<int64_t>;

v1::AttentionOptions WithAdditive(const v1::Tensor& mask) {
  v1::AttentionOptions options;
  *options.mutable_additive_mask() = mask;
  return options;
}

v1::AttentionOptions WithBoolean(const v1::Tensor& mask) {
  v1::AttentionOptions options;
  *options.mutable_boolean_mask() = mask;
  return options;
}

TEST(DecodeMasksTest, LeavesAbsentMasksAbsent) {
  const auto task = DecodeOptionsOf({});
  ASSERT_THAT(task, IsOk());
  EXPECT_FALSE(task->problem.boolean_mask.present());
  EXPECT_FALSE(task->problem.additive_mask.present());
  EXPECT_FALSE(task->problem.multiplicative_mask.present());
  EXPECT_FALSE(task->problem.causal);
  EXPECT_TRUE(task->problem.key_lengths.empty());
}

TEST(DecodeMasksTest, AlignsMasksAtTheRightAndBroadcasts) {
  const std::vector<std::pair<Shape, Extents>> strides_by_shape = {
      {{5}, {0, 0, 0, 1}},          {{1}, {0, 0, 0, 0}},          {{3, 5}, {0, 0, 5, 1}},
      {{3, 1}, {0, 0, 1, 0}},       {{1, 5}, {0, 0, 0, 1}},       {{4, 3, 5}, {0, 15, 5, 1}},
      {{4, 1, 5}, {0, 5, 0, 1}},    {{1, 3, 5}, {0, 0, 5, 1}},    {{2, 4, 3, 5}, {60, 15, 5, 1}},
      {{2, 1, 1, 5}, {5, 0, 0, 1}}, {{1, 4, 3, 1}, {0, 3, 1, 0}}, {{2, 1, 1, 1}, {1, 0, 0, 0}}};
  for (const auto& [shape, strides] : strides_by_shape) {
    const v1::AttentionOptions options = WithAdditive(Zeros(shape));
    const auto task = DecodeOptionsOf(options);
    ASSERT_THAT(task, IsOk());
    const kernels::TensorView& mask = task->problem.additive_mask;
    EXPECT_EQ(mask.strides, strides) << testing::PrintToString(shape);
    EXPECT_EQ(mask.extents, (Extents{2, 4, 3, 5}));
    EXPECT_EQ(mask.data, options.additive_mask().raw().data());
  }
}

TEST(DecodeMasksTest, ReadsEveryMask) {
  v1::AttentionOptions options;
  *options.mutable_boolean_mask() = Zeros({5}, v1::DATA_TYPE_BOOL);
  *options.mutable_additive_mask() = Zeros({5}, v1::DATA_TYPE_F64);
  *options.mutable_multiplicative_mask() = Zeros({5}, v1::DATA_TYPE_F16);
  options.set_normalization(v1::NORMALIZATION_NONE);
  const auto task = DecodeOptionsOf(options, TaskOf(3, 5, kernels::DataType::kF16));
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->problem.boolean_mask.type, kernels::DataType::kBool);
  EXPECT_EQ(task->problem.additive_mask.type, kernels::DataType::kF64);
  EXPECT_EQ(task->problem.multiplicative_mask.type, kernels::DataType::kF16);
}

TEST(DecodeMasksTest, AcceptsInfinitiesAndNan) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(DecodeOptionsOf(WithAdditive(Floats({5}, {0, -infinity, infinity, nan, 1}))), IsOk());
}

v1::AttentionOptions WithBlocks(const Shape& shape, int64_t query_block_size,
                                int64_t key_block_size) {
  v1::AttentionOptions options;
  *options.mutable_block_mask()->mutable_mask() = Zeros(shape, v1::DATA_TYPE_BOOL);
  options.mutable_block_mask()->set_query_block_size(query_block_size);
  options.mutable_block_mask()->set_key_block_size(key_block_size);
  return options;
}

TEST(DecodeMasksTest, AlignsBlockMasksWithTheBlocksThatCoverEverything) {
  const v1::AttentionOptions options = WithBlocks({4, 2, 1}, 2, 5);
  const auto task = DecodeOptionsOf(options);
  ASSERT_THAT(task, IsOk());
  const kernels::BlockMask& blocks = task->problem.block_mask;
  EXPECT_EQ(blocks.mask.data, options.block_mask().mask().raw().data());
  EXPECT_EQ(blocks.mask.extents, (Extents{2, 4, 2, 1}));
  EXPECT_EQ(blocks.mask.strides, (Extents{0, 2, 1, 0}));
  EXPECT_EQ(blocks.query_block_size, 2);
  EXPECT_EQ(blocks.key_block_size, 5);
  EXPECT_THAT(DecodeOptionsOf(WithBlocks({3, 5}, 1, 1)), IsOk());
  EXPECT_THAT(DecodeOptionsOf(WithBlocks({1}, 1 << 20, 1 << 20)), IsOk());
}

v1::AttentionOptions Short(v1::AttentionOptions options) {
  options.set_short_masks(true);
  return options;
}

TEST(DecodeMasksTest, LimitsTheKeysToWhatShortMasksReach) {
  const v1::AttentionOptions options = Short(WithBoolean(Zeros({3, 4}, v1::DATA_TYPE_BOOL)));
  auto task = DecodeOptionsOf(options);
  ASSERT_THAT(task, IsOk());
  EXPECT_THAT(task->problem.key_lengths, ElementsAre(4, 4));
  EXPECT_EQ(task->problem.boolean_mask.extents, (Extents{2, 4, 3, 5}));
  EXPECT_EQ(task->problem.boolean_mask.strides, (Extents{0, 0, 4, 1}));

  v1::AttentionOptions several = options;
  *several.mutable_additive_mask() = Zeros({2});
  *several.mutable_key_lengths() = Raw<int64_t>({2}, {1, 5}, v1::DATA_TYPE_INT64);
  task = DecodeOptionsOf(several);
  ASSERT_THAT(task, IsOk());
  EXPECT_THAT(task->problem.key_lengths, ElementsAre(1, 2));
}

TEST(DecodeMasksTest, TakesTheExtentOfShortMasksAsTheirReachEvenIfItIsOneOrNone) {
  for (const int64_t reach : {0, 1}) {
    const auto task = DecodeOptionsOf(Short(WithAdditive(Zeros({reach}))));
    ASSERT_THAT(task, IsOk());
    EXPECT_THAT(task->problem.key_lengths, ElementsAre(reach, reach));
  }
}

TEST(DecodeMasksTest, LeavesTheKeysAloneWhereShortMasksReachThemAll) {
  const auto task = DecodeOptionsOf(Short(WithAdditive(Zeros({3, 5}))));
  ASSERT_THAT(task, IsOk());
  EXPECT_TRUE(task->problem.key_lengths.empty());
}

TEST(DecodeMasksTest, AlignsPositionsWithTheKeyLengthsThatWereSent) {
  v1::AttentionOptions options = Short(WithAdditive(Zeros({2})));
  *options.mutable_key_lengths() = Raw<int64_t>({2}, {4, 5}, v1::DATA_TYPE_INT64);
  options.mutable_causal()->set_alignment(v1::CAUSAL_ALIGNMENT_KEY_LENGTHS);
  const auto task = DecodeOptionsOf(options);
  ASSERT_THAT(task, IsOk());
  EXPECT_THAT(task->problem.query_offsets, ElementsAre(1, 2));
  EXPECT_THAT(task->problem.key_lengths, ElementsAre(2, 2));
}

v1::AttentionOptions WithMultiplicative(v1::Normalization normalization) {
  v1::AttentionOptions options;
  *options.mutable_multiplicative_mask() = Zeros({5});
  options.set_normalization(normalization);
  return options;
}

TEST(DecodeMasksTest, RefusesWhatContradictsTheContract) {
  ExpectRefused({
      {WithBoolean(Zeros({5})),
       "options.boolean_mask.data_type: got DATA_TYPE_F32, want DATA_TYPE_BOOL"},
      {WithBoolean(Zeros({4}, v1::DATA_TYPE_BOOL)),
       "options.boolean_mask.shape[0]: got 4, want 1 or 5 as the keys"},
      {WithBoolean(Zeros({5, 5}, v1::DATA_TYPE_BOOL)),
       "options.boolean_mask.shape[0]: got 5, want 1 or 3 as the queries"},
      {WithBoolean(Zeros({2, 3, 5}, v1::DATA_TYPE_BOOL)),
       "options.boolean_mask.shape[0]: got 2, want 1 or 4 as the query heads"},
      {WithBoolean(Zeros({3, 4, 3, 5}, v1::DATA_TYPE_BOOL)),
       "options.boolean_mask.shape[0]: got 3, want 1 or 2 as the batch"},
      {WithBoolean(Zeros({0}, v1::DATA_TYPE_BOOL)),
       "options.boolean_mask.shape[0]: got 0, want 1 or 5 as the keys"},
      {WithBoolean(Raw<uint8_t>({5}, {1, 1, 7, 1, 1}, v1::DATA_TYPE_BOOL)),
       "options.boolean_mask.raw: got another byte at element 2, want 0 or 1"},
      {Short({}),
       "options.short_masks: got true, want a boolean_mask, additive_mask or multiplicative_mask "
       "with it"},
      {Short(WithBoolean(Zeros({6}, v1::DATA_TYPE_BOOL))),
       "options.boolean_mask.shape[0]: got 6, want 1 or 5 as the keys"},
      {Short(WithBoolean(Zeros({2, 5}, v1::DATA_TYPE_BOOL))),
       "options.boolean_mask.shape[0]: got 2, want 1 or 3 as the queries"},
      {WithAdditive(Zeros({5}, v1::DATA_TYPE_BOOL)),
       "options.additive_mask.data_type: got DATA_TYPE_BOOL, want DATA_TYPE_F32 or DATA_TYPE_F64"},
      {WithAdditive(Zeros({5}, v1::DATA_TYPE_BF16)),
       "options.additive_mask.data_type: got DATA_TYPE_BF16, want DATA_TYPE_F32 or DATA_TYPE_F64"},
      {WithMultiplicative(v1::NORMALIZATION_UNSPECIFIED),
       "options.normalization: got NORMALIZATION_UNSPECIFIED, want NORMALIZATION_NONE with "
       "multiplicative_mask"},
      {WithMultiplicative(v1::NORMALIZATION_SOFTMAX_OVER_QUERIES),
       "options.normalization: got NORMALIZATION_SOFTMAX_OVER_QUERIES, want NORMALIZATION_NONE "
       "with multiplicative_mask"},
  });
}

TEST(DecodeMasksTest, RefusesBlockMasksThatContradictTheContract) {
  v1::AttentionOptions no_mask = WithBlocks({1}, 1, 1);
  no_mask.mutable_block_mask()->clear_mask();
  v1::AttentionOptions bytes = WithBlocks({1}, 3, 5);
  bytes.mutable_block_mask()->mutable_mask()->set_data_type(v1::DATA_TYPE_F32);
  ExpectRefused({
      {no_mask, "options.block_mask.mask: got nothing, want a tensor"},
      {bytes, "options.block_mask.mask.data_type: got DATA_TYPE_F32, want DATA_TYPE_BOOL"},
      {WithBlocks({1}, 0, 5), "options.block_mask.query_block_size: got 0, want > 0"},
      {WithBlocks({1}, (1 << 20) + 1, 5),
       "options.block_mask.query_block_size: got 1048577, want <= 1048576"},
      {WithBlocks({1}, 3, -1), "options.block_mask.key_block_size: got -1, want > 0"},
      {WithBlocks({1}, 3, (1 << 20) + 1),
       "options.block_mask.key_block_size: got 1048577, want <= 1048576"},
      {WithBlocks({2, 2}, 2, 2),
       "options.block_mask.mask.shape[1]: got 2, want 1 or 3 as the blocks that cover the keys"},
      {Short(WithBlocks({2, 2}, 2, 2)),
       "options.block_mask.mask.shape[1]: got 2, want 1 or 3 as the blocks that cover the keys"},
      {WithBlocks({3, 3}, 2, 2),
       "options.block_mask.mask.shape[0]: got 3, want 1 or 2 as the blocks that cover the queries"},
  });
}

TEST(DecodeMasksTest, NamesTheQueriesTypeAmongThoseOfNumericMasks) {
  EXPECT_THAT(DecodeOptionsOf(WithAdditive(Zeros({5}, v1::DATA_TYPE_BF16)),
                              TaskOf(3, 5, kernels::DataType::kF16)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "options.additive_mask.data_type: got DATA_TYPE_BF16, want DATA_TYPE_F32, "
                       "DATA_TYPE_F64 or DATA_TYPE_F16"));
}

}  // namespace
}  // namespace attention::server
