// PyTorch's and Keras's conventions through a real server, against numbers worked out by hand. The
// scores are logarithms, so that the weights are fractions.

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "client/adapters/keras_attention.h"
#include "client/adapters/keras_multi_head_attention.h"
#include "client/adapters/torch_multihead_attention.h"
#include "client/attention_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"

namespace attention::client {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::IsNan;

// A dozen roundings of float64 numbers below 100.
constexpr double kTolerance = 1e-13;

::testing::Matcher<double> Near(double number) { return DoubleNear(number, kTolerance); }

const double kLn2 = std::log(2.0);
const double kLn3 = std::log(3.0);

TensorValue Bools(Shape shape, std::vector<double> numbers) {
  return TensorValue::FromDoubles(DataType::kBool, std::move(shape), numbers).value();
}

class ClientAdaptersTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new attention::testing::ServerProcess(); }
  static void TearDownTestSuite() { delete server_; }

  static attention::testing::ServerProcess* server_;
  AttentionClient client_{MakeChannel(server_->grpc_address())};
};

attention::testing::ServerProcess* ClientAdaptersTest::server_ = nullptr;

// One head of width 1 whose projections change nothing but the output: y = 2 x + 1. The one query
// is 1, keys are ln 2 and 0, values 3 and 6: weights 2/3 and 1/3, attended value 4, output 9.
class TorchModuleTest : public ClientAdaptersTest {
 protected:
  TorchMultiheadResult Forward(TorchMultiheadCall call) {
    call.query = TensorRef(query_, {1, 1, 1});
    call.key = TensorRef(key_, {2, 1, 1});
    call.value = TensorRef(value_, {2, 1, 1});
    auto result = TorchMultiheadAttention::Create(parameters_).value().Forward(call, &client_);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : TorchMultiheadResult{};
  }

  const std::vector<double> query_ = {1};
  const std::vector<double> key_ = {kLn2, 0};
  const std::vector<double> value_ = {3, 6};
  const std::vector<double> ones_ = {1, 1, 1};
  const std::vector<double> two_ = {2};
  const std::vector<double> one_ = {1};
  TorchMultiheadParameters parameters_ = {.in_proj_weight = TensorRef(ones_, {3, 1}),
                                          .out_proj_weight = TensorRef(two_, {1, 1}),
                                          .out_proj_bias = TensorRef(one_, {1})};
};

TEST_F(TorchModuleTest, AttendsAndReturnsWeights) {
  const TorchMultiheadResult result = Forward({});
  EXPECT_THAT(result.output.shape(), ElementsAre(1, 1, 1));
  EXPECT_THAT(result.output.ToDoubles(), ElementsAre(Near(9)));
  EXPECT_THAT(result.weights->ToDoubles(), ElementsAre(Near(2.0 / 3), Near(1.0 / 3)));
}

TEST_F(TorchModuleTest, ATrueInAMaskHides) {
  const TensorValue padding = Bools({1, 2}, {0, 1});
  EXPECT_THAT(Forward({.key_padding_mask = padding.ref()}).output.ToDoubles(),
              ElementsAre(Near(7)));
  const TensorValue hidden = Bools({1, 2}, {1, 0});
  EXPECT_THAT(Forward({.attn_mask = hidden.ref()}).output.ToDoubles(), ElementsAre(Near(13)));
}

TEST_F(TorchModuleTest, AFloatMaskIsAdded) {
  // ln 3 for the second key: weights 2/5 and 3/5, value 4.8.
  const std::vector<double> added = {0, kLn3};
  EXPECT_THAT(Forward({.attn_mask = TensorRef(added, {1, 2})}).output.ToDoubles(),
              ElementsAre(Near(10.6)));
}

TEST_F(TorchModuleTest, AFullyMaskedQueryIsNaNOnlyWithWeights) {
  const TensorValue padding = Bools({1, 2}, {1, 1});
  const TorchMultiheadResult with_weights = Forward({.key_padding_mask = padding.ref()});
  EXPECT_THAT(with_weights.weights->ToDoubles(), ElementsAre(IsNan(), IsNan()));
  EXPECT_THAT(with_weights.output.ToDoubles(), ElementsAre(IsNan()));
  const TorchMultiheadResult without =
      Forward({.key_padding_mask = padding.ref(), .need_weights = false});
  EXPECT_FALSE(without.weights.has_value());
  EXPECT_THAT(without.output.ToDoubles(), ElementsAre(Near(1))) << "the bias alone";
}

TEST_F(TorchModuleTest, AZeroKeyTakesItsShare) {
  // e^0 more in the denominator: weights 2/4, 1/4 and, for the zero key, 1/4; value 3.
  parameters_.add_zero_attn = true;
  const TorchMultiheadResult result = Forward({});
  EXPECT_THAT(result.output.ToDoubles(), ElementsAre(Near(7)));
  EXPECT_THAT(result.weights->ToDoubles(), ElementsAre(Near(0.5), Near(0.25), Near(0.25)));
  // With all keys hidden it takes everything.
  const TensorValue padding = Bools({1, 2}, {1, 1});
  const TorchMultiheadResult alone = Forward({.key_padding_mask = padding.ref()});
  EXPECT_THAT(alone.output.ToDoubles(), ElementsAre(Near(1)));
  EXPECT_THAT(alone.weights->ToDoubles(), ElementsAre(Near(0), Near(0), Near(1)));
}

TEST_F(TorchModuleTest, AnAppendedKeyIsSeenWhateverMasksSay) {
  // Score ln 3 and value 12: weights 2/6, 1/6, 3/6, value 8.
  const std::vector<double> bias_k = {kLn3};
  const std::vector<double> bias_v = {12};
  parameters_.bias_k = TensorRef(bias_k, {1, 1, 1});
  parameters_.bias_v = TensorRef(bias_v, {1, 1, 1});
  const TorchMultiheadResult result = Forward({});
  EXPECT_THAT(result.output.ToDoubles(), ElementsAre(Near(17)));
  EXPECT_THAT(result.weights->ToDoubles(), ElementsAre(Near(1.0 / 3), Near(1.0 / 6), Near(0.5)));
  const TensorValue padding = Bools({1, 2}, {1, 1});
  EXPECT_THAT(Forward({.key_padding_mask = padding.ref()}).output.ToDoubles(),
              ElementsAre(Near(25)));
}

TEST_F(TorchModuleTest, TwoHeadsAreAveragedAndBatchesExchanged) {
  // Head 0 as above, head 1 with keys of 0: weights 1/2 and 1/2. The second entry of the batch has
  // its keys in the other order.
  const std::vector<double> identities = {1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1};
  const std::vector<double> identity = {1, 0, 0, 1};
  const TorchMultiheadParameters parameters = {.num_heads = 2,
                                               .in_proj_weight = TensorRef(identities, {6, 2}),
                                               .out_proj_weight = TensorRef(identity, {2, 2})};
  const std::vector<double> query = {1, 1, 1, 1};
  const std::vector<double> key = {kLn2, 0, 0, 0, 0, 0, kLn2, 0};
  const std::vector<double> value = {3, 3, 6, 6, 6, 6, 3, 3};
  const auto result = TorchMultiheadAttention::Create(parameters)
                          .value()
                          .Forward({.query = TensorRef(query, {1, 2, 2}),
                                    .key = TensorRef(key, {2, 2, 2}),
                                    .value = TensorRef(value, {2, 2, 2})},
                                   &client_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->output.ToDoubles(), ElementsAre(Near(4), Near(4.5), Near(4), Near(4.5)));
  EXPECT_THAT(result->weights->shape(), ElementsAre(2, 1, 2));
  EXPECT_THAT(result->weights->ToDoubles(),
              ElementsAre(Near(7.0 / 12), Near(5.0 / 12), Near(5.0 / 12), Near(7.0 / 12)));
}

TEST_F(ClientAdaptersTest, KerasAttentionIsNotScaled) {
  // Width 4: 1/sqrt(4) would halve the score ln 4 to ln 2. Weights 4/5 and 1/5 over 5 and 10.
  const std::vector<double> query = {1, 0, 0, 0};
  const std::vector<double> key = {2 * kLn2, 0, 0, 0, 0, 0, 0, 0};
  const std::vector<double> value = {5, 10};
  const KerasAttentionCall call = {.query = TensorRef(query, {1, 1, 4}),
                                   .value = TensorRef(value, {1, 2, 1}),
                                   .key = TensorRef(key, {1, 2, 4}),
                                   .return_attention_scores = true};
  const auto plain = CallKeras(KerasAttention{}, call, &client_);
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_THAT(plain->output.ToDoubles(), ElementsAre(Near(6)));
  EXPECT_THAT(plain->attention_scores->ToDoubles(), ElementsAre(Near(0.8), Near(0.2)));
  const auto scaled = CallKeras(KerasAttention{.scale = 0.5}, call, &client_);
  ASSERT_TRUE(scaled.ok()) << scaled.status();
  EXPECT_THAT(scaled->attention_scores->ToDoubles(), ElementsAre(Near(2.0 / 3), Near(1.0 / 3)));
}

TEST_F(ClientAdaptersTest, KerasConcatAndAdditiveScoresAreSumsOfTanh) {
  // tanh(0 + atanh(1/2)) is 1/2 for both numbers of the first key: weighed with 2 ln 2 each the
  // score is ln 4, that of the second key 0. Weights 4/5 and 1/5.
  const double angle = std::atanh(0.5);
  const std::vector<double> query = {0, 0};
  const std::vector<double> key = {angle, angle, 0, 0};
  const std::vector<double> value = {5, 10};
  const KerasAttentionCall call = {.query = TensorRef(query, {1, 1, 2}),
                                   .value = TensorRef(value, {1, 2, 1}),
                                   .key = TensorRef(key, {1, 2, 2})};
  const auto concat = CallKeras(KerasAttention{.score_mode = KerasAttention::ScoreMode::kConcat,
                                               .concat_score_weight = 2 * kLn2},
                                call, &client_);
  ASSERT_TRUE(concat.ok()) << concat.status();
  EXPECT_THAT(concat->output.ToDoubles(), ElementsAre(Near(6)));
  const std::vector<double> scale = {4 * kLn2, 0};  // the first number alone
  const auto additive =
      CallKeras(KerasAdditiveAttention{.scale = TensorRef(scale, {2})}, call, &client_);
  ASSERT_TRUE(additive.ok()) << additive.status();
  EXPECT_THAT(additive->output.ToDoubles(), ElementsAre(Near(6)));
}

TEST_F(ClientAdaptersTest, KerasMasksHideKeysAndZeroQueries) {
  const std::vector<double> query = {1, 1, 1};
  const std::vector<double> value = {3, 6, 12};
  const TensorValue value_mask = Bools({1, 3}, {0, 1, 1});
  const TensorValue query_mask = Bools({1, 3}, {1, 1, 0});
  const std::vector<double> key = {0, kLn2, 0};
  const auto result = CallKeras(KerasAttention{},
                                {.query = TensorRef(query, {1, 3, 1}),
                                 .value = TensorRef(value, {1, 3, 1}),
                                 .key = TensorRef(key, {1, 3, 1}),
                                 .query_mask = query_mask.ref(),
                                 .value_mask = value_mask.ref(),
                                 .use_causal_mask = true},
                                &client_);
  ASSERT_TRUE(result.ok()) << result.status();
  // The first query sees no key: uniform, the mean 7. The second sees the second key alone. The
  // third would see 2/3 of 6 and 1/3 of 12, but is masked.
  EXPECT_THAT(result->output.ToDoubles(), ElementsAre(Near(7), Near(6), 0));
}

// Two query heads over one key and value head of key_dim 1; the second head reads the negative
// query. Kernels [dim, heads, key_dim].
TEST_F(ClientAdaptersTest, KerasGroupedHeadsWindowsAndScores) {
  const std::vector<double> query_kernel = {1, -1};
  const std::vector<double> one = {1};
  const std::vector<double> output_kernel = {1, 10};
  const std::vector<double> output_bias = {100};
  KerasMultiHeadAttention layer = {.query = {.kernel = TensorRef(query_kernel, {1, 2, 1})},
                                   .key = {.kernel = TensorRef(one, {1, 1, 1})},
                                   .value = {.kernel = TensorRef(one, {1, 1, 1})},
                                   .output = {.kernel = TensorRef(output_kernel, {2, 1, 1}),
                                              .bias = TensorRef(output_bias, {1})}};
  const std::vector<double> query = {1, 1};
  const std::vector<double> key = {kLn2, 0};
  const std::vector<double> value = {3, 6};
  const KerasMultiHeadCall call = {.query = TensorRef(query, {1, 2, 1}),
                                   .value = TensorRef(value, {1, 2, 1}),
                                   .key = TensorRef(key, {1, 2, 1}),
                                   .return_attention_scores = true};
  const auto plain = CallKeras(layer, call, &client_);
  ASSERT_TRUE(plain.ok()) << plain.status();
  // Head 0: weights 2/3, 1/3 and value 4; head 1: 1/3, 2/3 and value 5. 4 + 10 * 5 + 100.
  EXPECT_THAT(plain->output.ToDoubles(), ElementsAre(Near(154), Near(154)));
  EXPECT_THAT(plain->attention_scores->shape(), ElementsAre(1, 2, 2, 2));
  layer.sliding_window = 1;  // each sees itself alone
  const auto window = CallKeras(layer, call, &client_);
  ASSERT_TRUE(window.ok()) << window.status();
  EXPECT_THAT(window->output.ToDoubles(), ElementsAre(Near(133), Near(166)));
  KerasMultiHeadCall masked = call;
  const TensorValue query_mask = Bools({1, 2}, {0, 1});
  masked.query_mask = query_mask.ref();
  masked.return_attention_scores = false;
  layer.sliding_window.reset();
  const auto uniform = CallKeras(layer, masked, &client_);
  ASSERT_TRUE(uniform.ok()) << uniform.status();
  EXPECT_THAT(uniform->output.ToDoubles(), ElementsAre(Near(4.5 + 45 + 100), Near(154)));
  masked.return_attention_scores = true;
  const auto zeros = CallKeras(layer, masked, &client_);
  ASSERT_TRUE(zeros.ok()) << zeros.status();
  EXPECT_THAT(zeros->output.ToDoubles(), ElementsAre(Near(100), Near(154))) << "the bias alone";
}

}  // namespace
}  // namespace attention::client
