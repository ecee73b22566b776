#include "server/codec/layer_codec.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/codec/request_decoder.h"
#include "tests/server/codec/messages.h"
#include "tests/server/core/layer_fixture.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using absl::StatusCode;
using kernels::Extents;
using test::HasCode;
using test::IsOk;
using test::StatusIs;
using test::ZeroProjection;
using test::Zeros;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// Knows the layer "grouped": 4 query and 2 key-value heads of width 3 over embeddings of width 8.
class LayerCodecTest : public testing::Test {
 protected:
  LayerCodecTest() { Serve(Grouped()); }

  static LayerContents Grouped() {
    return test::RandomLayer(
        "grouped",
        {.head_count = 4, .key_value_head_count = 2, .head_width = 3, .embedding_width = 8});
  }

  void Serve(LayerContents contents) {
    const std::string name = contents.name;
    layer_ = Layer::Make(std::move(contents), budget_);
    defaults_.layers = std::make_shared<const LayerSet>(LayerSet{{name, layer_}});
  }

  static v1::SelfAttentionRequest Request() {
    v1::SelfAttentionRequest request;
    *request.mutable_embeddings() = Zeros({2, 5, 8});
    request.set_layer("grouped");
    return request;
  }

  ByteBudget budget_{int64_t{1} << 40};
  std::shared_ptr<const Layer> layer_;
  RequestDefaults defaults_;
};

TEST_F(LayerCodecTest, TakesMapsAndHeadsFromTheLayer) {
  const v1::SelfAttentionRequest request = Request();
  const auto decoded = DecodeRequest(request, defaults_);
  ASSERT_THAT(decoded, IsOk());
  const AttentionTask& task = decoded->task;
  const LayerContents& contents = layer_->contents();
  EXPECT_EQ(task.layer, layer_);
  EXPECT_EQ(task.query.view.extents, (Extents{2, 4, 5, 3}));
  EXPECT_EQ(task.value.view.extents, (Extents{2, 2, 5, 3}));
  EXPECT_EQ(task.query.embeddings, request.embeddings().raw().data());
  EXPECT_EQ(task.query.projection->weight, contents.query->weight);
  EXPECT_EQ(task.key.projection->bias, contents.key->bias);
  EXPECT_EQ(task.value.projection->weight, contents.value->weight);
  EXPECT_EQ(task.output_projection->weight, contents.output->weight);
  EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(2, 5, 8));
  EXPECT_THAT(Validate(task), IsOk());
}

TEST_F(LayerCodecTest, ServesEveryMethodThatTakesEmbeddings) {
  v1::MaskedAttentionRequest masked;
  *masked.mutable_embeddings() = Zeros({3, 8});
  masked.mutable_options()->mutable_causal();
  masked.set_layer("grouped");
  EXPECT_THAT(DecodeRequest(masked, defaults_), IsOk());
  v1::CrossAttentionRequest cross;
  *cross.mutable_query_embeddings() = Zeros({3, 8});
  *cross.mutable_memory_embeddings() = Zeros({5, 8});
  cross.set_layer("grouped");
  EXPECT_THAT(DecodeRequest(cross, defaults_), IsOk());
  v1::MultiHeadAttentionRequest multi_head;
  *multi_head.mutable_query() = Zeros({3, 8});
  multi_head.set_layer("grouped");
  multi_head.set_head_count(4);
  multi_head.set_key_value_head_count(2);
  EXPECT_THAT(DecodeRequest(multi_head, defaults_), IsOk());
}

TEST_F(LayerCodecTest, LeavesOutMapsThatTheLayerHasNot) {
  LayerContents contents = Grouped();
  contents.query.reset();
  contents.output.reset();
  Serve(std::move(contents));
  v1::CrossAttentionRequest request;
  *request.mutable_query_embeddings() = Zeros({3, 12});
  *request.mutable_memory_embeddings() = Zeros({5, 8});
  request.set_layer("grouped");
  const auto decoded = DecodeRequest(request, defaults_);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_FALSE(decoded->task.query.projection.has_value());
  EXPECT_FALSE(decoded->task.output_projection.has_value());
  EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(3, 12));
}

TEST_F(LayerCodecTest, PutsInWhatTheLayerFixes) {
  LayerContents contents = Grouped();
  contents.scale = 0.5;
  contents.sinks = {0, 0, 0, 0};
  Serve(std::move(contents));
  v1::SelfAttentionRequest request = Request();
  const auto decoded = DecodeRequest(request, defaults_);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->task.options.scale, 0.5);
  EXPECT_THAT(decoded->task.problem.sinks, ElementsAre(0, 0, 0, 0));
  request.mutable_options()->set_scale(1);
  EXPECT_THAT(
      DecodeRequest(request, defaults_),
      StatusIs(StatusCode::kInvalidArgument,
               "options.scale: got a value, want none, since the layer 'grouped' fixes it"));
  request.mutable_options()->clear_scale();
  request.mutable_options()->set_normalization(v1::NORMALIZATION_NONE);
  EXPECT_THAT(DecodeRequest(request, defaults_),
              StatusIs(StatusCode::kUnimplemented,
                       "the sinks of the layer 'grouped': not offered with options.normalization "
                       "NORMALIZATION_NONE"));
}

TEST_F(LayerCodecTest, AppendsTheLayersKeyAndValue) {
  LayerContents contents = Grouped();
  contents.appended_key = test::Keep({1, 2, 3, 4, 5, 6}, contents);
  contents.appended_value = test::Keep({6, 5, 4, 3, 2, 1}, contents);
  Serve(std::move(contents));
  const v1::SelfAttentionRequest request = Request();
  const auto decoded = DecodeRequest(request, defaults_);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->task.key.appended, layer_->contents().appended_key);
  EXPECT_EQ(decoded->task.value.appended, layer_->contents().appended_value);
  EXPECT_EQ(decoded->task.key.view.extents, (Extents{2, 2, 6, 3}));
  EXPECT_EQ(decoded->task.key.given_row_count(), 5);
  EXPECT_THAT(decoded->response_form.matrix_shape, ElementsAre(2, 4, 5, 6));
  EXPECT_THAT(Validate(decoded->task), IsOk());
}

struct Refusal {
  std::string message;
  std::function<void(v1::SelfAttentionRequest&)> change;
};

TEST_F(LayerCodecTest, RefusesWhatDoesNotFitTheLayer) {
  const std::vector<Refusal> refusals = {
      {"projections: got projections beside a layer, want one of them",
       [](auto& request) { request.mutable_projections(); }},
      {"head_count: got 2, want 0 or the layer's 4",
       [](auto& request) { request.set_head_count(2); }},
      {"head_count: got -4, want 0 or the layer's 4",
       [](auto& request) { request.set_head_count(-4); }},
      {"embeddings.shape[1]: got 7, want 8 as in the layer",
       [](auto& request) { *request.mutable_embeddings() = Zeros({5, 7}); }},
      {"embeddings.data_type: got DATA_TYPE_BF16, want DATA_TYPE_F32 as in the layer 'grouped'",
       [](auto& request) { *request.mutable_embeddings() = Zeros({5, 8}, v1::DATA_TYPE_BF16); }},
      {"layer: got another name, want 1 to 128 letters, digits and . _ - of ASCII, the first a "
       "letter or a digit",
       [](auto& request) { request.set_layer("../grouped"); }},
  };
  for (const Refusal& refusal : refusals) {
    v1::SelfAttentionRequest request = Request();
    refusal.change(request);
    EXPECT_THAT(DecodeRequest(request, defaults_),
                StatusIs(StatusCode::kInvalidArgument, refusal.message));
  }
}

TEST_F(LayerCodecTest, NamesTheLayerThatItCannotFind) {
  v1::SelfAttentionRequest request = Request();
  request.set_layer("absent");
  EXPECT_THAT(DecodeRequest(request, defaults_),
              StatusIs(StatusCode::kNotFound, AllOf(HasSubstr("layer: "), HasSubstr("'absent'"))));
  request.set_layer("grouped");
  EXPECT_THAT(DecodeRequest(request), HasCode(StatusCode::kNotFound));  // a server without layers
}

TEST_F(LayerCodecTest, DescribesALayer) {
  LayerContents contents = Grouped();
  contents.query->bias = nullptr;
  contents.output.reset();
  contents.scale = 0.25;
  contents.sinks = {1, 2, 3, 4};
  Serve(std::move(contents));
  const v1::Layer description = DescribeLayer(*layer_);
  EXPECT_EQ(description.name(), "grouped");
  EXPECT_EQ(description.data_type(), v1::DATA_TYPE_F32);
  EXPECT_EQ(description.head_count(), 4);
  EXPECT_EQ(description.key_value_head_count(), 2);
  EXPECT_EQ(description.format(), "plain");
  EXPECT_EQ(description.query().input_width(), 8);
  EXPECT_EQ(description.query().output_width(), 12);
  EXPECT_FALSE(description.query().has_bias());
  EXPECT_TRUE(description.key().has_bias());
  EXPECT_FALSE(description.has_output());
  EXPECT_FALSE(description.appends_key_value());
  EXPECT_EQ(description.scale(), 0.25);
  EXPECT_THAT(description.sinks(), ElementsAre(1, 2, 3, 4));
}

// One head of width 4; keys and values are projected from width 8.
v1::CrossAttentionRequest AppendingRequest() {
  v1::CrossAttentionRequest request;
  *request.mutable_query_embeddings() = Zeros({2, 3, 4});
  *request.mutable_memory_embeddings() = Zeros({2, 5, 8});
  v1::Projections& projections = *request.mutable_projections();
  *projections.mutable_key() = ZeroProjection(8, 4);
  *projections.mutable_value() = ZeroProjection(8, 6);
  *projections.mutable_appended_key() = Zeros({4});
  *projections.mutable_appended_value() = Zeros({6});
  return request;
}

TEST(DecodeAppendedTest, CountsOneMoreKey) {
  const v1::CrossAttentionRequest request = AppendingRequest();
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->task.key.view.extents, (Extents{2, 1, 6, 4}));
  EXPECT_EQ(decoded->task.value.view.extents, (Extents{2, 1, 6, 6}));
  EXPECT_EQ(decoded->task.value.appended, request.projections().appended_value().raw().data());
  EXPECT_THAT(decoded->response_form.matrix_shape, ElementsAre(2, 1, 3, 6));
  EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(2, 3, 6));
}

TEST(DecodeAppendedTest, LetsMasksSeeTheAppendedKey) {
  v1::CrossAttentionRequest request = AppendingRequest();
  *request.mutable_options()->mutable_boolean_mask() = Zeros({3, 6}, v1::DATA_TYPE_BOOL);
  EXPECT_THAT(DecodeRequest(request), IsOk());
  *request.mutable_options()->mutable_boolean_mask() = Zeros({3, 5}, v1::DATA_TYPE_BOOL);
  EXPECT_THAT(DecodeRequest(request), HasCode(StatusCode::kInvalidArgument));
}

TEST(DecodeAppendedTest, RefusesWhatDoesNotFit) {
  const std::vector<std::pair<std::string, std::function<void(v1::Projections&)>>> refusals = {
      {"projections.appended_key: got nothing, want a tensor",
       [](auto& projections) { projections.clear_appended_key(); }},
      {"projections.appended_value: got nothing, want a tensor",
       [](auto& projections) { projections.clear_appended_value(); }},
      {"projections.appended_key.shape: got rank 2, want 1",
       [](auto& projections) { *projections.mutable_appended_key() = Zeros({1, 4}); }},
      {"projections.appended_value.shape[0]: got 4, want 6 as in projections.value.weight.shape[1]",
       [](auto& projections) { *projections.mutable_appended_value() = Zeros({4}); }},
      {"projections.appended_key.data_type: got DATA_TYPE_F64, want DATA_TYPE_F32 as in the "
       "embeddings",
       [](auto& projections) {
         *projections.mutable_appended_key() = Zeros({4}, v1::DATA_TYPE_F64);
       }},
  };
  for (const auto& [message, change] : refusals) {
    v1::CrossAttentionRequest request = AppendingRequest();
    change(*request.mutable_projections());
    EXPECT_THAT(DecodeRequest(request), StatusIs(StatusCode::kInvalidArgument, message));
  }
}

}  // namespace
}  // namespace attention::server
