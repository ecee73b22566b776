#include "server/codec/embedding_decoder.h"

#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/codec/request_decoder.h"
#include "tests/server/codec/messages.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using kernels::Extents;
using test::Floats;
using test::IsOk;
using test::StatusIs;
using test::ZeroProjection;
using test::Zeros;
using testing::ElementsAre;

// [2 batch, 3 queries, 8 wide], [2, 5 keys, 6 wide]; 4 query heads of width 2, 2 key-value heads of
// widths 2 and 3.
v1::MultiHeadAttentionRequest FullRequest() {
  v1::MultiHeadAttentionRequest request;
  *request.mutable_query() = Zeros({2, 3, 8});
  *request.mutable_key() = Zeros({2, 5, 6});
  *request.mutable_value() = Zeros({2, 5, 7});
  v1::Projections& projections = *request.mutable_projections();
  *projections.mutable_key() = ZeroProjection(6, 4, true);
  *projections.mutable_value() = ZeroProjection(7, 6);
  *projections.mutable_output() = ZeroProjection(12, 10, true);
  request.set_head_count(4);
  request.set_key_value_head_count(2);
  return request;
}

TEST(DecodeMultiHeadTest, FillsInProjectedAndPlainOperands) {
  const v1::MultiHeadAttentionRequest request = FullRequest();
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  const AttentionTask& task = decoded->task;
  EXPECT_EQ(task.type, kernels::DataType::kF32);
  EXPECT_EQ(task.query.view.data, request.query().raw().data());
  EXPECT_EQ(task.query.view.extents, (Extents{2, 4, 3, 2}));
  EXPECT_EQ(task.query.view.strides, (Extents{24, 2, 8, 1}));
  EXPECT_FALSE(task.query.projection.has_value());

  EXPECT_EQ(task.key.view.extents, (Extents{2, 2, 5, 2}));
  EXPECT_EQ(task.key.embeddings, request.key().raw().data());
  ASSERT_TRUE(task.key.projection.has_value());
  EXPECT_EQ(task.key.projection->input_width, 6);
  EXPECT_EQ(task.key.projection->output_width, 4);
  EXPECT_EQ(task.key.projection->weight, request.projections().key().weight().raw().data());
  EXPECT_EQ(task.key.projection->bias, request.projections().key().bias().raw().data());

  EXPECT_EQ(task.value.view.extents, (Extents{2, 2, 5, 3}));
  EXPECT_EQ(task.value.projection->bias, nullptr);

  EXPECT_EQ(task.output_layout, OutputLayout::kSequenceFirst);
  ASSERT_TRUE(task.output_projection.has_value());
  EXPECT_EQ(task.output_projection->input_width, 12);
  EXPECT_EQ(task.output_projection->output_width, 10);
  EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(2, 3, 10));
  EXPECT_THAT(decoded->response_form.matrix_shape, ElementsAre(2, 4, 3, 5));
}

TEST(DecodeMultiHeadTest, DefaultsKeyToQueryAndValueToKey) {
  v1::MultiHeadAttentionRequest request;
  *request.mutable_query() = Zeros({3, 4});
  const auto alone = DecodeRequest(request);
  ASSERT_THAT(alone, IsOk());
  EXPECT_EQ(alone->task.key.view.data, request.query().raw().data());
  EXPECT_EQ(alone->task.value.view.data, request.query().raw().data());
  *request.mutable_key() = Zeros({5, 4});
  const auto with_key = DecodeRequest(request);
  ASSERT_THAT(with_key, IsOk());
  EXPECT_EQ(with_key->task.key.view.data, request.key().raw().data());
  EXPECT_EQ(with_key->task.value.view.data, request.key().raw().data());
}

TEST(DecodeSelfTest, UsesOneSequenceThriceAndDropsTheBatchAxis) {
  v1::SelfAttentionRequest request;
  *request.mutable_embeddings() = Zeros({3, 4}, v1::DATA_TYPE_BF16);
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  for (const HeadsSource* source :
       {&decoded->task.query, &decoded->task.key, &decoded->task.value}) {
    EXPECT_EQ(source->view.data, request.embeddings().raw().data());
    EXPECT_EQ(source->view.type, kernels::DataType::kBF16);
    EXPECT_EQ(source->view.extents, (Extents{1, 1, 3, 4}));
  }
  EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(3, 4));
  EXPECT_THAT(decoded->response_form.matrix_shape, ElementsAre(1, 3, 3));
}

TEST(DecodeSelfTest, SplitsAPackedWidthIntoHeads) {
  v1::SelfAttentionRequest request;
  *request.mutable_embeddings() = Zeros({2, 3, 8});
  request.set_head_count(4);
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->task.query.view.extents, (Extents{2, 4, 3, 2}));
  EXPECT_EQ(decoded->task.query.view.strides, (Extents{24, 2, 8, 1}));
}

TEST(DecodeSelfTest, AcceptsSequencesOfNothing) {
  v1::SelfAttentionRequest request;
  *request.mutable_embeddings() = Zeros({2, 0, 4});
  EXPECT_THAT(DecodeRequest(request), IsOk());
  *request.mutable_embeddings() = Zeros({0, 3, 4});
  EXPECT_THAT(DecodeRequest(request), IsOk());
}

TEST(DecodeSelfTest, AnswersInFloatsOnlyWhereEverythingCameAsFloats) {
  v1::SelfAttentionRequest request;
  *request.mutable_embeddings() = Floats({1, 2}, {1, 2}, v1::DATA_TYPE_F64);
  *request.mutable_options()->mutable_additive_mask() = Floats({1}, {0});
  const auto floats = DecodeRequest(request);
  ASSERT_THAT(floats, IsOk());
  EXPECT_TRUE(floats->task.sends_floats);
  *request.mutable_options()->mutable_additive_mask() = Zeros({1});
  const auto mixed = DecodeRequest(request);
  ASSERT_THAT(mixed, IsOk());
  EXPECT_FALSE(mixed->task.sends_floats);
}

TEST(DecodeMaskedTest, WantsAMask) {
  v1::MaskedAttentionRequest request;
  *request.mutable_embeddings() = Zeros({3, 4});
  request.mutable_options()->set_scale(1);
  EXPECT_THAT(
      DecodeRequest(request),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "options: got no mask, want boolean_mask, additive_mask, multiplicative_mask, "
               "block_mask, causal, window, query_segments or key_lengths"));
  request.mutable_options()->mutable_window();  // without a bound it hides nothing
  EXPECT_THAT(DecodeRequest(request), test::HasCode(absl::StatusCode::kInvalidArgument));
  const std::vector<std::function<void(v1::AttentionOptions&)>> masks = {
      [](auto& o) { *o.mutable_boolean_mask() = Zeros({3}, v1::DATA_TYPE_BOOL); },
      [](auto& o) { *o.mutable_additive_mask() = Zeros({3}); },
      [](auto& o) {
        *o.mutable_multiplicative_mask() = Zeros({3});
        o.set_normalization(v1::NORMALIZATION_NONE);
      },
      [](auto& o) { o.mutable_causal(); },
      [](auto& o) { *o.mutable_key_lengths() = Zeros({1}, v1::DATA_TYPE_INT32); },
      [](auto& o) {
        *o.mutable_block_mask()->mutable_mask() = Zeros({1, 1}, v1::DATA_TYPE_BOOL);
        o.mutable_block_mask()->set_query_block_size(3);
        o.mutable_block_mask()->set_key_block_size(3);
      },
      [](auto& o) { o.mutable_window()->set_left(0); },
      [](auto& o) { o.mutable_window()->set_right(0); },
      [](auto& o) { *o.mutable_query_segments() = Zeros({3}, v1::DATA_TYPE_INT32); },
  };
  for (const auto& add : masks) {
    request.clear_options();
    add(*request.mutable_options());
    EXPECT_THAT(DecodeRequest(request), IsOk());
  }
}

TEST(DecodeCrossTest, AttendsFromQueriesToMemory) {
  v1::CrossAttentionRequest request;
  *request.mutable_query_embeddings() = Zeros({1, 3, 4});
  *request.mutable_memory_embeddings() = Zeros({1, 5, 4});
  request.set_head_count(2);
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->task.query.view.data, request.query_embeddings().raw().data());
  EXPECT_EQ(decoded->task.key.view.data, request.memory_embeddings().raw().data());
  EXPECT_EQ(decoded->task.value.view.data, request.memory_embeddings().raw().data());
  EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(1, 3, 4));
  EXPECT_THAT(decoded->response_form.matrix_shape, ElementsAre(1, 2, 3, 5));
}

TEST(DecodeCrossTest, NamesTheMissingField) {
  v1::CrossAttentionRequest request;
  EXPECT_THAT(DecodeRequest(request), StatusIs(absl::StatusCode::kInvalidArgument,
                                               "query_embeddings: got nothing, want a tensor"));
  *request.mutable_query_embeddings() = Zeros({3, 4});
  EXPECT_THAT(DecodeRequest(request), StatusIs(absl::StatusCode::kInvalidArgument,
                                               "memory_embeddings: got nothing, want a tensor"));
}

struct Refusal {
  std::function<void(v1::MultiHeadAttentionRequest&)> change;
  std::string message;
};

// Each changes FullRequest().
const std::vector<Refusal>& Refusals() {
  using Request = v1::MultiHeadAttentionRequest;
  static const auto* const refusals = new std::vector<Refusal>{
      {[](Request& r) { r.clear_query(); }, "query: got nothing, want a tensor"},
      {[](Request& r) { *r.mutable_query() = Zeros({8}); }, "query.shape: got rank 1, want 2 or 3"},
      {[](Request& r) { *r.mutable_query() = Zeros({1, 2, 3, 8}); },
       "query.shape: got rank 4, want 2 or 3"},
      {[](Request& r) { *r.mutable_query() = Zeros({2, 3, 8}, v1::DATA_TYPE_INT32); },
       "query.data_type: got DATA_TYPE_INT32, want DATA_TYPE_F32, F16, BF16 or F64"},
      {[](Request& r) { *r.mutable_query() = Zeros({2, 3, 0}); },
       "query.shape[2]: got 0, want > 0"},
      {[](Request& r) { *r.mutable_query() = Zeros({1, 65537}); },
       "query.shape[1]: got 65537, want <= 65536"},
      {[](Request& r) { *r.mutable_query() = Zeros({1048577, 1}); },
       "query.shape[0]: got 1048577, want <= 1048576"},
      {[](Request& r) { *r.mutable_query() = Zeros({65537, 1, 1}); },
       "query.shape[0]: got 65537, want <= 65536"},
      {[](Request& r) { *r.mutable_key() = Zeros({2, 5, 6}, v1::DATA_TYPE_F16); },
       "key.data_type: got DATA_TYPE_F16, want DATA_TYPE_F32 as in query"},
      {[](Request& r) { *r.mutable_value() = Zeros({5, 7}); },
       "value.shape: got rank 2, want 3 as in query"},
      {[](Request& r) { *r.mutable_key() = Zeros({3, 5, 6}); },
       "key.shape[0]: got 3, want 2 as in query"},
      {[](Request& r) { *r.mutable_value() = Zeros({2, 4, 7}); },
       "value.shape[1]: got 4, want 5 as in key"},
      {[](Request& r) { r.set_head_count(-1); }, "head_count: got -1, want >= 0"},
      {[](Request& r) { r.set_head_count(1025); }, "head_count: got 1025, want <= 1024"},
      {[](Request& r) { r.set_key_value_head_count(-2); },
       "key_value_head_count: got -2, want >= 0"},
      {[](Request& r) { r.set_key_value_head_count(3); },
       "key_value_head_count: got 3, want a divisor of head_count 4"},
      {[](Request& r) { r.set_key_value_head_count(8); },
       "key_value_head_count: got 8, want a divisor of head_count 4"},
      {[](Request& r) { *r.mutable_query() = Zeros({2, 3, 9}); },
       "query.shape[2]: got 9, want a multiple of head_count 4"},
      {[](Request& r) {
         r.set_head_count(1);
         r.set_key_value_head_count(1);
         *r.mutable_query() = Zeros({2, 3, 1025});
       },
       "query.shape[2]: got 1025 per head, want <= 1024"},
      {[](Request& r) { r.mutable_projections()->mutable_key()->clear_weight(); },
       "projections.key.weight: got nothing, want a tensor"},
      {[](Request& r) { *r.mutable_projections()->mutable_key() = ZeroProjection(5, 4); },
       "projections.key.weight.shape[0]: got 5, want 6 as in key.shape[2]"},
      {[](Request& r) { *r.mutable_projections()->mutable_key() = ZeroProjection(6, 0); },
       "projections.key.weight.shape[1]: got 0, want > 0"},
      {[](Request& r) { *r.mutable_projections()->mutable_key() = ZeroProjection(6, 5); },
       "projections.key.weight.shape[1]: got 5, want a multiple of key_value_head_count 2"},
      {[](Request& r) { *r.mutable_projections()->mutable_key() = ZeroProjection(6, 6); },
       "projections.key.weight.shape[1]: got 3 per head, want 2 per head as in query.shape[2]"},
      {[](Request& r) { *r.mutable_projections()->mutable_key()->mutable_weight() = Zeros({24}); },
       "projections.key.weight.shape: got rank 1, want 2"},
      {[](Request& r) {
         *r.mutable_projections()->mutable_key() = ZeroProjection(6, 4, false, v1::DATA_TYPE_F64);
       },
       "projections.key.weight.data_type: got DATA_TYPE_F64, want DATA_TYPE_F32 as in the "
       "embeddings"},
      {[](Request& r) { *r.mutable_projections()->mutable_key()->mutable_bias() = Zeros({5}); },
       "projections.key.bias.shape[0]: got 5, want 4 as in projections.key.weight.shape[1]"},
      {[](Request& r) { *r.mutable_projections()->mutable_key()->mutable_bias() = Zeros({4, 1}); },
       "projections.key.bias.shape: got rank 2, want 1"},
      {[](Request& r) {
         *r.mutable_projections()->mutable_key()->mutable_bias() = Zeros({4}, v1::DATA_TYPE_BOOL);
       },
       "projections.key.bias.data_type: got DATA_TYPE_BOOL, want DATA_TYPE_F32 as in the "
       "embeddings"},
      {[](Request& r) { *r.mutable_projections()->mutable_value() = ZeroProjection(7, 5); },
       "projections.value.weight.shape[1]: got 5, want a multiple of key_value_head_count 2"},
      {[](Request& r) { *r.mutable_projections()->mutable_output() = ZeroProjection(11, 10); },
       "projections.output.weight.shape[0]: got 11, want 12 as in heads * value width"},
      {[](Request& r) { *r.mutable_options()->mutable_additive_mask() = Zeros({4}); },
       "options.additive_mask.shape[0]: got 4, want 1 or 5 as the keys"},
  };
  return *refusals;
}

TEST(DecodeMultiHeadTest, RefusesWhatContradictsTheContract) {
  for (const Refusal& refusal : Refusals()) {
    v1::MultiHeadAttentionRequest request = FullRequest();
    refusal.change(request);
    EXPECT_THAT(DecodeRequest(request),
                StatusIs(absl::StatusCode::kInvalidArgument, refusal.message));
  }
}

TEST(DecodeMultiHeadTest, NamesTheHeadCountThatCameFromHeadCount) {
  v1::MultiHeadAttentionRequest request;
  *request.mutable_query() = Zeros({3, 8});
  *request.mutable_value() = Zeros({3, 7});
  request.set_head_count(2);
  EXPECT_THAT(DecodeRequest(request),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "value.shape[1]: got 7, want a multiple of head_count 2"));
}

TEST(DecodeMultiHeadTest, LetsScoresWithWeightsJoinDifferentWidths) {
  v1::MultiHeadAttentionRequest request;
  *request.mutable_query() = Zeros({3, 4});
  *request.mutable_key() = Zeros({5, 6});
  *request.mutable_options()->mutable_general_score()->mutable_weight() = Zeros({4, 6});
  EXPECT_THAT(DecodeRequest(request), IsOk());
}

}  // namespace
}  // namespace attention::server
