#include "server/codec/mask_codec.h"

#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/codec/messages.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using kernels::Extents;
using test::Floats;
using test::IsOk;
using test::Raw;
using test::StatusIs;
using test::Zeros;
using testing::ElementsAre;
using testing::Optional;

using Shape = std::vector<int64_t>;

// A task whose scores are [2 batch, 4 heads, 3 queries, 5 keys].
AttentionTask TaskOf(kernels::DataType type = kernels::DataType::kF32) {
  AttentionTask task;
  task.type = type;
  task.query.view.extents = {2, 4, 3, 8};
  task.key.view.extents = {2, 2, 5, 8};
  return task;
}

absl::StatusOr<AttentionTask> Decode(const v1::AttentionOptions& options,
                                     AttentionTask task = TaskOf()) {
  static auto& storage = *new std::vector<Buffer>();
  TensorReader reader(storage);
  if (absl::Status status = DecodeMasks(options, reader, task); !status.ok()) return status;
  return task;
}

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
  const auto task = Decode({});
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
    const auto task = Decode(options);
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
  AttentionTask task = TaskOf(kernels::DataType::kF16);
  task.options.normalization = kernels::Normalization::kNone;
  const auto decoded = Decode(options, task);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->problem.boolean_mask.type, kernels::DataType::kBool);
  EXPECT_EQ(decoded->problem.additive_mask.type, kernels::DataType::kF64);
  EXPECT_EQ(decoded->problem.multiplicative_mask.type, kernels::DataType::kF16);
}

TEST(DecodeMasksTest, AcceptsInfinitiesAndNan) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(Decode(WithAdditive(Floats({5}, {0, -infinity, infinity, nan, 1}))), IsOk());
}

v1::AttentionOptions WithCausal(v1::CausalAlignment alignment,
                                std::optional<int64_t> offset = std::nullopt) {
  v1::AttentionOptions options;
  options.mutable_causal()->set_alignment(alignment);
  if (offset.has_value()) options.mutable_causal()->set_offset(*offset);
  return options;
}

std::optional<int64_t> OffsetOf(const v1::AttentionOptions& options, int64_t query_count) {
  AttentionTask task = TaskOf();
  task.query.view.extents[2] = query_count;
  const auto decoded = Decode(options, task);
  EXPECT_THAT(decoded, IsOk());
  if (!decoded.ok() || !decoded->problem.causal) return std::nullopt;
  return decoded->problem.query_offset;
}

TEST(DecodeMasksTest, TurnsEveryAlignmentIntoAnOffset) {
  constexpr int64_t kLimit = int64_t{1} << 31;
  EXPECT_THAT(OffsetOf(WithCausal(v1::CAUSAL_ALIGNMENT_UNSPECIFIED), 5), Optional(0));
  EXPECT_THAT(OffsetOf(WithCausal(v1::CAUSAL_ALIGNMENT_TOP_LEFT), 3), Optional(0));
  EXPECT_THAT(OffsetOf(WithCausal(v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT), 3), Optional(2));
  EXPECT_THAT(OffsetOf(WithCausal(v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT), 9), Optional(-4));
  EXPECT_THAT(OffsetOf(WithCausal(v1::CAUSAL_ALIGNMENT_OFFSET, -7), 3), Optional(-7));
  EXPECT_THAT(OffsetOf(WithCausal(v1::CAUSAL_ALIGNMENT_OFFSET, kLimit), 3), Optional(kLimit));
  EXPECT_THAT(OffsetOf(WithCausal(v1::CAUSAL_ALIGNMENT_OFFSET, -kLimit), 3), Optional(-kLimit));
}

v1::AttentionOptions WithLengths(const v1::Tensor& lengths) {
  v1::AttentionOptions options;
  *options.mutable_key_lengths() = lengths;
  return options;
}

TEST(DecodeMasksTest, ReadsKeyLengthsOfEveryForm) {
  for (const v1::Tensor& lengths :
       {Raw<int32_t>({2}, {0, 5}, v1::DATA_TYPE_INT32),
        Raw<int64_t>({2}, {0, 5}, v1::DATA_TYPE_INT64), Floats({2}, {0, 5}, v1::DATA_TYPE_INT32)}) {
    const auto task = Decode(WithLengths(lengths));
    ASSERT_THAT(task, IsOk());
    EXPECT_THAT(task->key_lengths, ElementsAre(0, 5));
  }
}

struct Refusal {
  v1::AttentionOptions options;
  std::string message;
};

v1::AttentionOptions WithMultiplicative(v1::Normalization normalization) {
  v1::AttentionOptions options;
  *options.mutable_multiplicative_mask() = Zeros({5});
  options.set_normalization(normalization);
  return options;
}

std::vector<Refusal> Refusals() {
  const auto lengths = [](std::vector<int64_t> values) {
    return WithLengths(
        Raw<int64_t>({static_cast<int64_t>(values.size())}, values, v1::DATA_TYPE_INT64));
  };
  return {
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
      {WithCausal(v1::CAUSAL_ALIGNMENT_UNSPECIFIED),
       "options.causal.alignment: got CAUSAL_ALIGNMENT_UNSPECIFIED, want another, since there are "
       "3 queries and 5 keys"},
      {WithCausal(v1::CAUSAL_ALIGNMENT_TOP_LEFT, 0),
       "options.causal.offset: got 0, want nothing with CAUSAL_ALIGNMENT_TOP_LEFT"},
      {WithCausal(v1::CAUSAL_ALIGNMENT_OFFSET),
       "options.causal.offset: got nothing, want a number with CAUSAL_ALIGNMENT_OFFSET"},
      {WithCausal(v1::CAUSAL_ALIGNMENT_OFFSET, (int64_t{1} << 31) + 1),
       "options.causal.offset: got 2147483649, want -2^31 to 2^31"},
      {WithCausal(v1::CAUSAL_ALIGNMENT_OFFSET, std::numeric_limits<int64_t>::min()),
       "options.causal.offset: got -9223372036854775808, want -2^31 to 2^31"},
      {WithCausal(static_cast<v1::CausalAlignment>(8)),
       "options.causal.alignment: got 8, want 0 to 3"},
      {WithLengths(Zeros({2})),
       "options.key_lengths.data_type: got DATA_TYPE_F32, want DATA_TYPE_INT32 or DATA_TYPE_INT64"},
      {WithLengths(Zeros({2, 1}, v1::DATA_TYPE_INT32)),
       "options.key_lengths.shape: got rank 2, want 1"},
      {lengths({1}), "options.key_lengths.shape[0]: got 1, want 2 as in the batch"},
      {lengths({1, 6}), "options.key_lengths: got another length at element 1, want 0 to 5"},
      {lengths({-1, 5}), "options.key_lengths: got another length at element 0, want 0 to 5"},
  };
}

TEST(DecodeMasksTest, RefusesWhatContradictsTheContract) {
  for (const Refusal& refusal : Refusals()) {
    EXPECT_THAT(Decode(refusal.options),
                StatusIs(absl::StatusCode::kInvalidArgument, refusal.message));
  }
}

TEST(DecodeMasksTest, NamesTheQueriesTypeAmongThoseOfNumericMasks) {
  EXPECT_THAT(Decode(WithAdditive(Zeros({5}, v1::DATA_TYPE_BF16)), TaskOf(kernels::DataType::kF16)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "options.additive_mask.data_type: got DATA_TYPE_BF16, want DATA_TYPE_F32, "
                       "DATA_TYPE_F64 or DATA_TYPE_F16"));
}

}  // namespace
}  // namespace attention::server
