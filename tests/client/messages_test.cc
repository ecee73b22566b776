#include "client/messages.h"

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<float> kFour = {1, 2, 3, 4};
const std::vector<float> kTwo = {5, 6};

TensorRef Matrix() { return TensorRef(kFour, {2, 2}); }
TensorRef Vector() { return TensorRef(kTwo, {2}); }

// The number of bytes tells which of the two tensors above a message holds.
bool IsMatrix(const v1::Tensor& tensor) {
  return tensor.raw().size() == 16 && tensor.shape_size() == 2 &&
         tensor.data_type() == v1::DATA_TYPE_F32;
}
bool IsVector(const v1::Tensor& tensor) {
  return tensor.raw().size() == 8 && tensor.shape_size() == 1;
}

v1::AttentionOptions OptionsMessage(const AttentionOptions& options) {
  return ToMessage(
             SelfAttentionRequest{
                 .embeddings = Matrix(), .projections = {}, .head_count = 1, .options = options})
      .value()
      .options();
}

TEST(MessagesTest, ATensorTravelsAsRawLittleEndianBytes) {
  const auto message = ToMessage(SelfAttentionRequest{.embeddings = Matrix()}).value();
  EXPECT_EQ(message.embeddings().data_type(), v1::DATA_TYPE_F32);
  EXPECT_THAT(message.embeddings().shape(), ElementsAre(2, 2));
  EXPECT_EQ(message.embeddings().raw().substr(0, 8), std::string("\0\0\x80\x3f\0\0\0\x40", 8));
  EXPECT_TRUE(message.embeddings().floats().empty());
  EXPECT_FALSE(message.has_projections());
}

TEST(MessagesTest, EveryElementTypeHasItsNumber) {
  const std::pair<DataType, v1::DataType> types[] = {
      {DataType::kF32, v1::DATA_TYPE_F32},     {DataType::kF16, v1::DATA_TYPE_F16},
      {DataType::kBF16, v1::DATA_TYPE_BF16},   {DataType::kF64, v1::DATA_TYPE_F64},
      {DataType::kBool, v1::DATA_TYPE_BOOL},   {DataType::kInt32, v1::DATA_TYPE_INT32},
      {DataType::kInt64, v1::DATA_TYPE_INT64},
  };
  for (const auto& [type, number] : types) {
    const TensorValue tensor =
        TensorValue::FromDoubles(type, {2}, std::vector<double>{0, 1}).value();
    const auto message = ToMessage(SelfAttentionRequest{.embeddings = tensor.ref()}).value();
    EXPECT_EQ(message.embeddings().data_type(), number) << Name(type);
  }
}

TEST(MessagesTest, ProjectionsGoToTheirFields) {
  const Projection plain{.weight = Matrix(), .bias = std::nullopt};
  const Projection biased{.weight = Matrix(), .bias = Vector()};
  const auto message =
      ToMessage(
          MaskedAttentionRequest{
              .embeddings = Matrix(),
              .projections = {.query = biased, .key = plain, .value = plain, .output = biased},
              .head_count = 2,
              .options = {}})
          .value();
  EXPECT_EQ(message.head_count(), 2);
  EXPECT_TRUE(IsMatrix(message.projections().query().weight()));
  EXPECT_TRUE(IsVector(message.projections().query().bias()));
  EXPECT_TRUE(IsMatrix(message.projections().key().weight()));
  EXPECT_FALSE(message.projections().key().has_bias());
  EXPECT_TRUE(IsMatrix(message.projections().value().weight()));
  EXPECT_TRUE(IsVector(message.projections().output().bias()));
}

TEST(MessagesTest, UnsetOptionsAreNotSent) {
  const v1::AttentionOptions message = OptionsMessage({});
  v1::AttentionOptions expected;
  expected.set_normalization(v1::NORMALIZATION_SOFTMAX_OVER_KEYS);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(message, expected))
      << message.ShortDebugString();
}

TEST(MessagesTest, OptionsGoToTheirFields) {
  const std::vector<int64_t> lengths = {2};
  const v1::AttentionOptions message = OptionsMessage({
      .scale = 0.0,
      .score = GeneralScore{Matrix()},
      .normalization = Normalization::kNone,
      .boolean_mask = Vector(),
      .additive_mask = Matrix(),
      .multiplicative_mask = Vector(),
      .causal = Causal{.alignment = Causal::Alignment::kOffset, .offset = -3},
      .key_lengths = TensorRef(lengths, {1}),
      .precision = Precision::kBF16X3,
      .return_weights = true,
      .return_scores = ScoresKind::kMasked,
  });
  EXPECT_TRUE(message.has_scale());
  EXPECT_EQ(message.scale(), 0);
  EXPECT_TRUE(IsMatrix(message.general_score().weight()));
  EXPECT_EQ(message.normalization(), v1::NORMALIZATION_NONE);
  EXPECT_TRUE(IsVector(message.boolean_mask()));
  EXPECT_TRUE(IsMatrix(message.additive_mask()));
  EXPECT_TRUE(IsVector(message.multiplicative_mask()));
  EXPECT_EQ(message.causal().alignment(), v1::CAUSAL_ALIGNMENT_OFFSET);
  EXPECT_EQ(message.causal().offset(), -3);
  EXPECT_EQ(message.key_lengths().data_type(), v1::DATA_TYPE_INT64);
  EXPECT_TRUE(message.return_weights());
  EXPECT_EQ(message.return_scores(), v1::SCORES_KIND_MASKED);
  EXPECT_EQ(message.precision(), v1::PRECISION_BF16_X3);
}

TEST(MessagesTest, EveryPrecisionTravelsBothWays) {
  const std::pair<Precision, v1::Precision> precisions[] = {
      {Precision::kF32, v1::PRECISION_F32},
      {Precision::kBF16X6, v1::PRECISION_BF16_X6},
      {Precision::kBF16X3, v1::PRECISION_BF16_X3},
      {Precision::kBF16, v1::PRECISION_BF16},
      {Precision::kF32GradeFastest, v1::PRECISION_F32_GRADE_FASTEST},
  };
  static_assert(std::size(precisions) == kPrecisions.size());
  for (const auto& [precision, number] : precisions) {
    EXPECT_EQ(OptionsMessage({.precision = precision}).precision(), number) << Name(precision);
    v1::GetServerInfoResponse info;
    info.set_default_precision(number);
    EXPECT_EQ(FromMessage(info).default_precision, precision) << Name(precision);
  }
}

TEST(MessagesTest, ADefaultPrecisionOfANewerServerIsNoneThatThisLibraryKnows) {
  v1::GetServerInfoResponse info;
  EXPECT_EQ(FromMessage(info).default_precision, std::nullopt) << "an older server sends none";
  info.set_default_precision(static_cast<v1::Precision>(77));
  EXPECT_EQ(FromMessage(info).default_precision, std::nullopt);
}

TEST(MessagesTest, AnAdditiveScoreHasThreeTensors) {
  const v1::AttentionOptions message =
      OptionsMessage({.score = AdditiveScore{
                          .query_weight = Matrix(), .key_weight = Matrix(), .vector = Vector()}});
  EXPECT_TRUE(IsMatrix(message.additive_score().query_weight()));
  EXPECT_TRUE(IsMatrix(message.additive_score().key_weight()));
  EXPECT_TRUE(IsVector(message.additive_score().vector()));
}

TEST(MessagesTest, OnlyAnOffsetAlignmentSendsAnOffset) {
  const std::pair<Causal::Alignment, v1::CausalAlignment> alignments[] = {
      {Causal::Alignment::kEqualCounts, v1::CAUSAL_ALIGNMENT_UNSPECIFIED},
      {Causal::Alignment::kTopLeft, v1::CAUSAL_ALIGNMENT_TOP_LEFT},
      {Causal::Alignment::kBottomRight, v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT},
      {Causal::Alignment::kKeyLengths, v1::CAUSAL_ALIGNMENT_KEY_LENGTHS},
  };
  for (const auto& [alignment, number] : alignments) {
    const v1::AttentionOptions message =
        OptionsMessage({.causal = Causal{.alignment = alignment, .offset = 7}});
    EXPECT_TRUE(message.has_causal());
    EXPECT_EQ(message.causal().alignment(), number);
    EXPECT_FALSE(message.causal().has_offset());
  }
}

TEST(MessagesTest, OtherScoresAndNormalizationsHaveTheirNumbers) {
  EXPECT_EQ(OptionsMessage({.return_scores = ScoresKind::kRaw}).return_scores(),
            v1::SCORES_KIND_RAW);
  EXPECT_EQ(OptionsMessage({.return_scores = ScoresKind::kCapped}).return_scores(),
            v1::SCORES_KIND_CAPPED);
  EXPECT_EQ(OptionsMessage({.normalization = Normalization::kSoftmaxOverQueries}).normalization(),
            v1::NORMALIZATION_SOFTMAX_OVER_QUERIES);
}

TEST(MessagesTest, MultiHeadLeavesOutWhatIsNotGiven) {
  const auto alone = ToMessage(MultiHeadAttentionRequest{.query = Matrix()}).value();
  EXPECT_FALSE(alone.has_key());
  EXPECT_FALSE(alone.has_value());
  EXPECT_EQ(alone.key_value_head_count(), 0);
  const auto whole = ToMessage(MultiHeadAttentionRequest{.query = Matrix(),
                                                         .key = Vector(),
                                                         .value = Matrix(),
                                                         .projections = {},
                                                         .head_count = 4,
                                                         .key_value_head_count = 2,
                                                         .options = {}})
                         .value();
  EXPECT_TRUE(IsVector(whole.key()));
  EXPECT_TRUE(IsMatrix(whole.value()));
  EXPECT_EQ(whole.head_count(), 4);
  EXPECT_EQ(whole.key_value_head_count(), 2);
}

TEST(MessagesTest, CrossAndScaledDotProductGoToTheirFields) {
  const auto cross =
      ToMessage(CrossAttentionRequest{.query_embeddings = Matrix(), .memory_embeddings = Vector()})
          .value();
  EXPECT_TRUE(IsMatrix(cross.query_embeddings()));
  EXPECT_TRUE(IsVector(cross.memory_embeddings()));
  const std::pair<Layout, v1::Layout> layouts[] = {
      {Layout::kHeadsFirst, v1::LAYOUT_HEADS_FIRST},
      {Layout::kSequenceFirst, v1::LAYOUT_SEQUENCE_FIRST},
      {Layout::kPacked, v1::LAYOUT_PACKED}};
  for (const auto& [layout, number] : layouts) {
    const auto message = ToMessage(ScaledDotProductAttentionRequest{.query = Matrix(),
                                                                    .key = Vector(),
                                                                    .value = Vector(),
                                                                    .layout = layout,
                                                                    .head_count = 8,
                                                                    .key_value_head_count = 2,
                                                                    .options = {}})
                             .value();
    EXPECT_TRUE(IsMatrix(message.query()) && IsVector(message.key()) && IsVector(message.value()));
    EXPECT_EQ(message.layout(), number);
    EXPECT_EQ(message.head_count(), 8);
    EXPECT_EQ(message.key_value_head_count(), 2);
  }
}

TEST(MessagesTest, PastKeysAndRaggedBatchesGoToTheirFields) {
  const std::vector<int64_t> starts = {0, 2};
  const auto message =
      ToMessage(ScaledDotProductAttentionRequest{.query = Matrix(),
                                                 .key = Matrix(),
                                                 .value = Matrix(),
                                                 .options = {},
                                                 .past_key = Matrix(),
                                                 .past_value = Vector(),
                                                 .return_present = true,
                                                 .query_starts = TensorRef(starts, {2}),
                                                 .key_starts = Vector()})
          .value();
  EXPECT_TRUE(IsMatrix(message.past_key()));
  EXPECT_TRUE(IsVector(message.past_value()));
  EXPECT_TRUE(message.return_present());
  EXPECT_EQ(message.query_starts().data_type(), v1::DATA_TYPE_INT64);
  EXPECT_TRUE(IsVector(message.key_starts()));
  const auto plain = ToMessage(ScaledDotProductAttentionRequest{
                                   .query = Matrix(), .key = Matrix(), .value = Matrix()})
                         .value();
  EXPECT_FALSE(plain.has_past_key() || plain.has_past_value() || plain.return_present() ||
               plain.has_query_starts() || plain.has_key_starts());
}

TEST(MessagesTest, ARotaryEmbeddingGoesToItsFields) {
  const auto message = ToMessage(ApplyRotaryEmbeddingRequest{.input = Matrix(),
                                                             .head_count = 3,
                                                             .cos = Vector(),
                                                             .sin = Matrix(),
                                                             .position_ids = Vector(),
                                                             .rotary_width = 4,
                                                             .interleaved = true})
                           .value();
  EXPECT_TRUE(IsMatrix(message.input()));
  EXPECT_EQ(message.head_count(), 3);
  EXPECT_TRUE(IsVector(message.cos()));
  EXPECT_TRUE(IsMatrix(message.sin()));
  EXPECT_TRUE(IsVector(message.position_ids()));
  EXPECT_EQ(message.rotary_width(), 4);
  EXPECT_TRUE(message.interleaved());
  const auto plain =
      ToMessage(ApplyRotaryEmbeddingRequest{.input = Matrix(), .cos = Matrix(), .sin = Matrix()})
          .value();
  EXPECT_FALSE(plain.has_position_ids() || plain.interleaved());
  EXPECT_EQ(plain.rotary_width(), 0);
}

TEST(MessagesTest, EveryStateToMergeIsSentInOrder) {
  const auto message =
      ToMessage(MergeAttentionStatesRequest{.states = {{Matrix(), Vector()}, {Vector(), Matrix()}}})
          .value();
  ASSERT_EQ(message.states_size(), 2);
  EXPECT_TRUE(IsMatrix(message.states(0).output()) && IsVector(message.states(0).log_sum_exp()));
  EXPECT_TRUE(IsVector(message.states(1).output()) && IsMatrix(message.states(1).log_sum_exp()));
  const TensorRef wrong(kFour, {3, 2});
  EXPECT_THAT(std::string(ToMessage(MergeAttentionStatesRequest{
                                        .states = {{Matrix(), Vector()}, {Matrix(), wrong}}})
                              .status()
                              .message()),
              HasSubstr("states[1].log_sum_exp: "));
}

TEST(MessagesTest, AContradictoryTensorIsNamed) {
  const TensorRef wrong(kFour, {3, 2});
  const auto error = [](const auto& request) {
    return std::string(ToMessage(request).status().message());
  };
  EXPECT_THAT(error(SelfAttentionRequest{.embeddings = wrong}), HasSubstr("embeddings: "));
  EXPECT_THAT(
      error(SelfAttentionRequest{.embeddings = Matrix(), .options = {.boolean_mask = wrong}}),
      HasSubstr("options.boolean_mask: "));
  const Projections projections = {
      .query = {}, .key = {}, .value = Projection{.weight = Matrix(), .bias = wrong}};
  EXPECT_THAT(error(SelfAttentionRequest{.embeddings = Matrix(), .projections = projections}),
              HasSubstr("projections.value.bias: "));
}

}  // namespace
}  // namespace attention::client
