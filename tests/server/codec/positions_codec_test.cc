#include "server/codec/positions_codec.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/codec/messages.h"
#include "tests/server/codec/options_fixture.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using test::DecodeOptionsOf;
using test::ExpectRefused;
using test::IsOk;
using test::Raw;
using test::StatusIs;
using test::TaskOf;
using test::Zeros;
using testing::ElementsAre;
using testing::Optional;

constexpr int64_t kLimit = int64_t{1} << 31;

v1::AttentionOptions WithCausal(v1::CausalAlignment alignment,
                                std::optional<int64_t> offset = std::nullopt) {
  v1::AttentionOptions options;
  options.mutable_causal()->set_alignment(alignment);
  if (offset.has_value()) options.mutable_causal()->set_offset(*offset);
  return options;
}

// Positions for a window, which needs them.
v1::AttentionOptions WithPositions(v1::CausalAlignment alignment,
                                   std::optional<int64_t> offset = std::nullopt) {
  v1::AttentionOptions options;
  options.mutable_window()->set_left(1);
  options.mutable_query_positions()->set_alignment(alignment);
  if (offset.has_value()) options.mutable_query_positions()->set_offset(*offset);
  return options;
}

v1::AttentionOptions AddLengths(v1::AttentionOptions options) {
  *options.mutable_key_lengths() = Raw<int64_t>({2}, {1, 5}, v1::DATA_TYPE_INT64);
  return options;
}

std::optional<int64_t> OffsetOf(const v1::AttentionOptions& options, int64_t query_count) {
  const auto task = DecodeOptionsOf(options, TaskOf(query_count));
  EXPECT_THAT(task, IsOk());
  if (!task.ok() || !task->problem.query_offsets.empty()) return std::nullopt;
  EXPECT_EQ(task->problem.causal, options.has_causal());
  return task->problem.query_offset;
}

TEST(DecodePositionsTest, TurnsEveryAlignmentIntoAnOffset) {
  for (const auto& with : {WithCausal, WithPositions}) {
    EXPECT_THAT(OffsetOf(with(v1::CAUSAL_ALIGNMENT_UNSPECIFIED, {}), 5), Optional(0));
    EXPECT_THAT(OffsetOf(with(v1::CAUSAL_ALIGNMENT_TOP_LEFT, {}), 3), Optional(0));
    EXPECT_THAT(OffsetOf(with(v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT, {}), 3), Optional(2));
    EXPECT_THAT(OffsetOf(with(v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT, {}), 9), Optional(-4));
    EXPECT_THAT(OffsetOf(with(v1::CAUSAL_ALIGNMENT_OFFSET, -7), 3), Optional(-7));
    EXPECT_THAT(OffsetOf(with(v1::CAUSAL_ALIGNMENT_OFFSET, kLimit), 3), Optional(kLimit));
    EXPECT_THAT(OffsetOf(with(v1::CAUSAL_ALIGNMENT_OFFSET, -kLimit), 3), Optional(-kLimit));
  }
}

TEST(DecodePositionsTest, AlignsEachEntryWithItsKeyLength) {
  for (const auto& with : {WithCausal, WithPositions}) {
    const auto task =
        DecodeOptionsOf(AddLengths(with(v1::CAUSAL_ALIGNMENT_KEY_LENGTHS, std::nullopt)));
    ASSERT_THAT(task, IsOk());
    EXPECT_THAT(task->problem.query_offsets, ElementsAre(-2, 2));
    EXPECT_THAT(task->problem.key_lengths, ElementsAre(1, 5));
  }
}

TEST(DecodePositionsTest, CausalityWithoutAnAlignmentOfItsOwnTakesTheQueriesPositions) {
  v1::AttentionOptions options = WithPositions(v1::CAUSAL_ALIGNMENT_OFFSET, 4);
  options.mutable_causal();
  EXPECT_THAT(OffsetOf(options, 3), Optional(4));
  options.clear_window();
  EXPECT_THAT(OffsetOf(options, 3), Optional(4));
}

TEST(DecodePositionsTest, WhatCountsDistancesTakesTheAlignmentOfCausality) {
  v1::AttentionOptions options = WithCausal(v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT);
  options.mutable_rotary_embedding();
  EXPECT_THAT(OffsetOf(options, 3), Optional(2));
}

TEST(DecodePositionsTest, AcceptsTwoAlignmentsThatAgree) {
  v1::AttentionOptions options = WithPositions(v1::CAUSAL_ALIGNMENT_OFFSET, 2);
  options.mutable_causal()->set_alignment(v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT);
  EXPECT_THAT(OffsetOf(options, 3), Optional(2));
}

TEST(DecodePositionsTest, DoesNotOfferTwoAlignmentsThatDiffer) {
  v1::AttentionOptions options = AddLengths(WithPositions(v1::CAUSAL_ALIGNMENT_KEY_LENGTHS));
  options.mutable_causal()->set_alignment(v1::CAUSAL_ALIGNMENT_OFFSET);
  options.mutable_causal()->set_offset(-2);
  EXPECT_THAT(DecodeOptionsOf(options),
              StatusIs(absl::StatusCode::kUnimplemented,
                       "options.causal.alignment: not offered with options.query_positions that "
                       "differ from it: got offsets -2 and 2"));
}

TEST(DecodePositionsTest, NeedsAnAlignmentForDistancesBetweenUnequalCountsAlone) {
  const std::vector<std::pair<std::string, void (*)(v1::AttentionOptions&)>> counting = {
      {"window", [](v1::AttentionOptions& o) { o.mutable_window()->set_right(1); }},
      {"alibi", [](v1::AttentionOptions& o) { *o.mutable_alibi()->mutable_slopes() = Zeros({4}); }},
      {"relative_position_bias",
       [](v1::AttentionOptions& o) {
         *o.mutable_relative_position_bias()->mutable_table() = Zeros({32, 4});
       }},
      {"rotary_embedding", [](v1::AttentionOptions& o) { o.mutable_rotary_embedding(); }}};
  for (const auto& [name, add] : counting) {
    v1::AttentionOptions options;
    add(options);
    EXPECT_THAT(DecodeOptionsOf(options),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         "options.query_positions: got nothing, want an alignment with options." +
                             name + ", since there are 3 queries and 5 keys"));
    EXPECT_THAT(OffsetOf(options, 5), Optional(0)) << name;
    options.mutable_query_positions()->set_alignment(v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT);
    EXPECT_THAT(OffsetOf(options, 3), Optional(2)) << name;
  }
}

TEST(DecodePositionsTest, ReadsTheBoundsOfTheWindowThatAreThere) {
  v1::AttentionOptions options;
  options.mutable_window();
  auto task = DecodeOptionsOf(options);  // counts nothing, so it needs no alignment
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->problem.left_window, std::nullopt);
  EXPECT_EQ(task->problem.right_window, std::nullopt);
  options.mutable_window()->set_left(0);
  task = DecodeOptionsOf(options, TaskOf(5));
  ASSERT_THAT(task, IsOk());
  EXPECT_THAT(task->problem.left_window, Optional(0));
  EXPECT_EQ(task->problem.right_window, std::nullopt);
  options.mutable_window()->clear_left();
  options.mutable_window()->set_right(kLimit);
  task = DecodeOptionsOf(options, TaskOf(5));
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->problem.left_window, std::nullopt);
  EXPECT_THAT(task->problem.right_window, Optional(kLimit));
}

TEST(DecodePositionsTest, ReadsPrefixLengths) {
  v1::AttentionOptions options = WithCausal(v1::CAUSAL_ALIGNMENT_TOP_LEFT);
  *options.mutable_prefix_lengths() = Raw<int32_t>({2}, {5, 0}, v1::DATA_TYPE_INT32);
  const auto task = DecodeOptionsOf(options);
  ASSERT_THAT(task, IsOk());
  EXPECT_THAT(task->problem.prefix_lengths, ElementsAre(5, 0));
}

TEST(DecodePositionsTest, RefusesAlignmentsThatContradictTheContract) {
  for (const auto& with : {WithCausal, WithPositions}) {
    const auto none = std::optional<int64_t>();
    const bool causal = with(v1::CAUSAL_ALIGNMENT_TOP_LEFT, none).has_causal();
    const std::string path = causal ? "options.causal" : "options.query_positions";
    ExpectRefused({
        {with(v1::CAUSAL_ALIGNMENT_UNSPECIFIED, none),
         path + ".alignment: got CAUSAL_ALIGNMENT_UNSPECIFIED, want another, since there are "
                "3 queries and 5 keys"},
        {with(v1::CAUSAL_ALIGNMENT_TOP_LEFT, 0),
         path + ".offset: got 0, want nothing with CAUSAL_ALIGNMENT_TOP_LEFT"},
        {with(v1::CAUSAL_ALIGNMENT_UNSPECIFIED, 0),
         path + ".offset: got 0, want nothing with CAUSAL_ALIGNMENT_UNSPECIFIED"},
        {with(v1::CAUSAL_ALIGNMENT_OFFSET, none),
         path + ".offset: got nothing, want a number with CAUSAL_ALIGNMENT_OFFSET"},
        {with(v1::CAUSAL_ALIGNMENT_OFFSET, kLimit + 1),
         path + ".offset: got 2147483649, want -2^31 to 2^31"},
        {with(v1::CAUSAL_ALIGNMENT_OFFSET, std::numeric_limits<int64_t>::min()),
         path + ".offset: got -9223372036854775808, want -2^31 to 2^31"},
        {with(v1::CAUSAL_ALIGNMENT_KEY_LENGTHS, none),
         "options.key_lengths: got nothing, want a tensor with " + path +
             " CAUSAL_ALIGNMENT_KEY_LENGTHS"},
        {with(static_cast<v1::CausalAlignment>(8), none), path + ".alignment: got 8, want 0 to 4"},
    });
  }
}

TEST(DecodePositionsTest, RefusesAnOffsetOfCausalityWithoutItsAlignmentDespitePositions) {
  v1::AttentionOptions options = WithPositions(v1::CAUSAL_ALIGNMENT_TOP_LEFT);
  options.mutable_causal()->set_offset(0);
  ExpectRefused(
      {{options, "options.causal.offset: got 0, want nothing with CAUSAL_ALIGNMENT_UNSPECIFIED"}});
}

v1::AttentionOptions WithWindow(int64_t left, int64_t right) {
  v1::AttentionOptions options;
  options.mutable_window()->set_left(left);
  options.mutable_window()->set_right(right);
  return options;
}

TEST(DecodePositionsTest, RefusesWhatContradictsTheContract) {
  v1::AttentionOptions idle;
  idle.mutable_query_positions()->set_alignment(v1::CAUSAL_ALIGNMENT_TOP_LEFT);
  v1::AttentionOptions prefix_alone;
  *prefix_alone.mutable_prefix_lengths() = Zeros({2}, v1::DATA_TYPE_INT32);
  v1::AttentionOptions long_prefix = WithCausal(v1::CAUSAL_ALIGNMENT_TOP_LEFT);
  *long_prefix.mutable_prefix_lengths() = Raw<int32_t>({2}, {0, 6}, v1::DATA_TYPE_INT32);
  ExpectRefused(
      {
          {idle,
           "options.query_positions: got an alignment, want nothing without causal, window, alibi, "
           "relative_position_bias or rotary_embedding"},
          {prefix_alone,
           "options.prefix_lengths: got a tensor, want nothing without "
           "options.causal"},
          {long_prefix, "options.prefix_lengths: got another length at element 1, want 0 to 5"},
          {WithWindow(-1, 0), "options.window.left: got -1, want >= 0"},
          {WithWindow(0, -1), "options.window.right: got -1, want >= 0"},
          {WithWindow(kLimit + 1, 0), "options.window.left: got 2147483649, want <= 2147483648"},
          {WithWindow(0, kLimit + 1), "options.window.right: got 2147483649, want <= 2147483648"},
      },
      TaskOf(5));
}

}  // namespace
}  // namespace attention::server
