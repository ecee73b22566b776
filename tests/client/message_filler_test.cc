#include "client/message_filler.h"

#include <sys/mman.h>

#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

using ::testing::HasSubstr;

const std::vector<float> kNumbers = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

// A vector of this many numbers, by which it is told from others.
TensorRef Vector(int64_t count) {
  return {std::span(kNumbers).first(static_cast<size_t>(count)), {count}};
}

AttentionOptions EveryOption() {
  return {
      .scale = 0.0,
      .score = GeneralScore{Vector(1)},
      .normalization = Normalization::kNone,
      .softcap = 50.0,
      .boolean_mask = Vector(2),
      .additive_mask = Vector(3),
      .multiplicative_mask = Vector(4),
      .short_masks = true,
      .block_mask = BlockMask{.mask = Vector(5), .query_block_size = 64, .key_block_size = 32},
      .causal = Causal{.alignment = Causal::Alignment::kOffset, .offset = -3},
      .prefix_lengths = Vector(6),
      .window = Window{.left = 0, .right = 7},
      .key_lengths = Vector(7),
      .query_segments = Vector(8),
      .key_segments = Vector(9),
      .fully_masked = FullyMaskedPolicy::kUniform,
      .query_positions = QueryPositions{.alignment = Causal::Alignment::kOffset, .offset = 4},
      .alibi = Alibi{.slopes = Vector(10), .symmetric = true},
      .relative_position_bias =
          RelativePositionBias{.table = Vector(11), .maximum_distance = 256, .bidirectional = true},
      .rotary_embedding =
          RotaryEmbedding{
              .base = 500000.0, .position_scale = 0.5, .width = 32, .interleaved = true},
      .sinks = Vector(12),
      .head_mask = Vector(1),
      .temperature = Vector(2),
      .precision = Precision::kBF16,
      .softmax_type = DataType::kF64,
      .return_weights = true,
      .return_scores = ScoresKind::kCapped,
      .return_log_sum_exp = true,
      .return_top_weights = 5,
      .return_entropy = true,
      .return_key_mass = true,
      .return_maximum_weight = true,
  };
}

v1::AttentionOptions Filled(const AttentionOptions& options) {
  MessageFiller filler;
  v1::AttentionOptions message;
  filler.Fill(options, &message);
  EXPECT_TRUE(filler.status().ok()) << filler.status();
  return message;
}

int Count(const v1::Tensor& tensor) {
  return static_cast<int>(tensor.raw().size() / sizeof(float));
}

// An option that this library cannot send is one its users cannot have.
TEST(MessageFillerTest, NoFieldOfTheOptionsIsForgotten) {
  const v1::AttentionOptions message = Filled(EveryOption());
  const auto* descriptor = v1::AttentionOptions::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    if (field->number() == v1::AttentionOptions::kAdditiveScoreFieldNumber) continue;  // the other
    EXPECT_TRUE(field->is_repeated() || message.GetReflection()->HasField(message, field))
        << field->name() << " is not sent";
  }
}

TEST(MessageFillerTest, WhatHidesKeysGoesToItsFields) {
  const v1::AttentionOptions message = Filled(EveryOption());
  EXPECT_TRUE(message.short_masks());
  EXPECT_EQ(Count(message.boolean_mask()), 2);
  EXPECT_EQ(Count(message.additive_mask()), 3);
  EXPECT_EQ(Count(message.multiplicative_mask()), 4);
  EXPECT_EQ(Count(message.block_mask().mask()), 5);
  EXPECT_EQ(message.block_mask().query_block_size(), 64);
  EXPECT_EQ(message.block_mask().key_block_size(), 32);
  EXPECT_EQ(Count(message.prefix_lengths()), 6);
  EXPECT_TRUE(message.window().has_left()) << "0 is a bound, too";
  EXPECT_EQ(message.window().left(), 0);
  EXPECT_EQ(message.window().right(), 7);
  EXPECT_EQ(Count(message.key_lengths()), 7);
  EXPECT_EQ(Count(message.query_segments()), 8);
  EXPECT_EQ(Count(message.key_segments()), 9);
  EXPECT_EQ(message.fully_masked(), v1::FULLY_MASKED_POLICY_UNIFORM);
}

TEST(MessageFillerTest, WhatDependsOnPositionsGoesToItsFields) {
  const v1::AttentionOptions message = Filled(EveryOption());
  EXPECT_EQ(message.query_positions().alignment(), v1::CAUSAL_ALIGNMENT_OFFSET);
  EXPECT_EQ(message.query_positions().offset(), 4);
  EXPECT_EQ(Count(message.alibi().slopes()), 10);
  EXPECT_TRUE(message.alibi().symmetric());
  EXPECT_EQ(Count(message.relative_position_bias().table()), 11);
  EXPECT_EQ(message.relative_position_bias().maximum_distance(), 256);
  EXPECT_TRUE(message.relative_position_bias().bidirectional());
  EXPECT_EQ(message.rotary_embedding().base(), 500000.0);
  EXPECT_EQ(message.rotary_embedding().position_scale(), 0.5);
  EXPECT_EQ(message.rotary_embedding().width(), 32);
  EXPECT_TRUE(message.rotary_embedding().interleaved());
}

TEST(MessageFillerTest, WhatEachHeadHasAndWhatIsReturnedGoToTheirFields) {
  const v1::AttentionOptions message = Filled(EveryOption());
  EXPECT_EQ(message.softcap(), 50.0);
  EXPECT_EQ(Count(message.sinks()), 12);
  EXPECT_EQ(Count(message.head_mask()), 1);
  EXPECT_EQ(Count(message.temperature()), 2);
  EXPECT_EQ(message.softmax_type(), v1::DATA_TYPE_F64);
  EXPECT_EQ(message.return_scores(), v1::SCORES_KIND_CAPPED);
  EXPECT_TRUE(message.return_log_sum_exp());
  EXPECT_EQ(message.return_top_weights(), 5);
  EXPECT_TRUE(message.return_entropy());
  EXPECT_TRUE(message.return_key_mass());
  EXPECT_TRUE(message.return_maximum_weight());
}

TEST(MessageFillerTest, AnAlignmentWithoutAnOffsetSendsNone) {
  const v1::AttentionOptions message =
      Filled({.query_positions =
                  QueryPositions{.alignment = Causal::Alignment::kKeyLengths, .offset = 4}});
  EXPECT_EQ(message.query_positions().alignment(), v1::CAUSAL_ALIGNMENT_KEY_LENGTHS);
  EXPECT_FALSE(message.query_positions().has_offset());
}

TEST(MessageFillerTest, EveryPolicyForFullyMaskedQueriesHasItsNumber) {
  EXPECT_EQ(Filled({.fully_masked = FullyMaskedPolicy::kNan}).fully_masked(),
            v1::FULLY_MASKED_POLICY_NAN);
  EXPECT_EQ(Filled({}).fully_masked(), v1::FULLY_MASKED_POLICY_UNSPECIFIED) << "means zeros";
}

TEST(MessageFillerTest, TheFirstContradictionIsKept) {
  const TensorRef wrong(kNumbers, {7});
  MessageFiller filler;
  v1::AttentionOptions message;
  filler.Fill(AttentionOptions{.alibi = Alibi{.slopes = wrong}, .sinks = wrong}, &message);
  EXPECT_THAT(std::string(filler.status().message()), HasSubstr("options.alibi.slopes: shape [7]"));
  EXPECT_TRUE(message.sinks().raw().empty());
}

TEST(MessageFillerTest, WhatNoMessageCanHoldIsRefusedBeforeItIsCopied) {
  const auto byte_count = static_cast<size_t>(std::numeric_limits<int32_t>::max() - 65'536);
  // Addresses without memory behind them.
  void* const pages = mmap(nullptr, byte_count, PROT_READ,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, /*fd=*/-1, /*offset=*/0);
  ASSERT_NE(pages, MAP_FAILED);
  const TensorRef huge(DataType::kBool, {static_cast<int64_t>(byte_count)},
                       {static_cast<const std::byte*>(pages), byte_count});
  MessageFiller filler;
  v1::Tensor message;
  filler.Fill(Vector(1), "query", &message);
  filler.Fill(huge, "key", &message);
  EXPECT_EQ(filler.status(),
            absl::ResourceExhaustedError("key: got 2147418111 bytes after 4 of other tensors, "
                                         "want <= 2147418111 in one request"));
  munmap(pages, byte_count);
}

}  // namespace
}  // namespace attention::client
