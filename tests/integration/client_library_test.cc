// The C++ client library against a real server.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "client/attention_client.h"
#include "client/small_float.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pointwise;

// Float64 sums of at most a few dozen terms.
constexpr double kFloat64Tolerance = 1e-13;
constexpr double kFloat32Tolerance = 1e-5;

MATCHER_P(NearBy, tolerance, "") {
  return std::abs(std::get<0>(arg) - std::get<1>(arg)) <= tolerance;
}

std::vector<double> RandomNumbers(int64_t count, int seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal;
  std::vector<double> numbers(count);
  std::generate(numbers.begin(), numbers.end(), [&] { return normal(generator); });
  return numbers;
}

// Queries, keys and values of one batch entry, [heads, rows, width] each.
struct Heads {
  int64_t query_heads = 4, key_heads = 2, query_count = 5, key_count = 7, width = 6;
  std::vector<double> query = RandomNumbers(query_heads * query_count * width, 1);
  std::vector<double> key = RandomNumbers(key_heads * key_count * width, 2);
  std::vector<double> value = RandomNumbers(key_heads * key_count * width, 3);
};

// softmax(query key^T / sqrt(width)) value, [query heads, queries, width]; key j is visible to
// query i if `visible` says so.
template <typename Visible>
std::vector<double> Attend(const Heads& heads, Visible visible) {
  const int64_t width = heads.width;
  std::vector<double> output(heads.query.size());
  for (int64_t row = 0; row < heads.query_heads * heads.query_count; ++row) {
    const int64_t head = row / heads.query_count;
    const int64_t group_size = heads.query_heads / heads.key_heads;
    const int64_t first_key = head / group_size * heads.key_count;
    double total = 0;
    for (int64_t j = 0; j < heads.key_count; ++j) {
      if (!visible(row % heads.query_count, j)) continue;
      double score = 0;
      for (int64_t k = 0; k < width; ++k) {
        score += heads.query[row * width + k] * heads.key[(first_key + j) * width + k];
      }
      const double weight = std::exp(score / std::sqrt(static_cast<double>(width)));
      total += weight;
      for (int64_t k = 0; k < width; ++k) {
        output[row * width + k] += weight * heads.value[(first_key + j) * width + k];
      }
    }
    for (int64_t k = 0; k < width && total > 0; ++k) output[row * width + k] /= total;
  }
  return output;
}

std::vector<double> Attend(const Heads& heads) {
  return Attend(heads, [](int64_t, int64_t) { return true; });
}

// [heads, rows, width] to [rows, heads, width].
std::vector<double> SequenceFirst(const std::vector<double>& numbers, int64_t head_count,
                                  int64_t width) {
  const int64_t row_count = static_cast<int64_t>(numbers.size()) / head_count / width;
  std::vector<double> moved(numbers.size());
  for (int64_t i = 0; i < static_cast<int64_t>(numbers.size()); ++i) {
    const int64_t head = i / width / row_count;
    const int64_t row = i / width % row_count;
    moved[(row * head_count + head) * width + i % width] = numbers[i];
  }
  return moved;
}

class ClientLibraryTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new attention::testing::ServerProcess; }
  static void TearDownTestSuite() { delete server_; }

  static void ExpectNear(const absl::StatusOr<AttentionResult>& result, const Shape& shape,
                         const std::vector<double>& expected,
                         double tolerance = kFloat64Tolerance) {
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->output.shape(), shape);
    EXPECT_THAT(result->output.ToDoubles(), Pointwise(NearBy(tolerance), expected));
    EXPECT_FALSE(result->execution.implementation.empty());
    EXPECT_FALSE(result->execution.request_id.empty());
    EXPECT_GT(result->execution.total_ns, 0);
  }

  static attention::testing::ServerProcess* server_;
  AttentionClient client_{MakeChannel(server_->grpc_address())};
};

attention::testing::ServerProcess* ClientLibraryTest::server_ = nullptr;

TEST_F(ClientLibraryTest, ScaledDotProductAttentionTakesEveryLayout) {
  const Heads heads;
  const auto expected = Attend(heads);
  ExpectNear(client_.ScaledDotProductAttention({.query = TensorRef(heads.query, {4, 5, 6}),
                                                .key = TensorRef(heads.key, {2, 7, 6}),
                                                .value = TensorRef(heads.value, {2, 7, 6})}),
             {4, 5, 6}, expected);

  const auto query = SequenceFirst(heads.query, 4, 6);
  const auto key = SequenceFirst(heads.key, 2, 6);
  const auto value = SequenceFirst(heads.value, 2, 6);
  const auto sequence_first = SequenceFirst(expected, 4, 6);
  ExpectNear(client_.ScaledDotProductAttention({.query = TensorRef(query, {1, 5, 4, 6}),
                                                .key = TensorRef(key, {1, 7, 2, 6}),
                                                .value = TensorRef(value, {1, 7, 2, 6}),
                                                .layout = Layout::kSequenceFirst}),
             {1, 5, 4, 6}, sequence_first);
  ExpectNear(client_.ScaledDotProductAttention({.query = TensorRef(query, {5, 24}),
                                                .key = TensorRef(key, {7, 12}),
                                                .value = TensorRef(value, {7, 12}),
                                                .layout = Layout::kPacked,
                                                .head_count = 4,
                                                .key_value_head_count = 2}),
             {5, 24}, sequence_first);
}

TEST_F(ClientLibraryTest, MultiHeadAttentionSharesKeyHeads) {
  const Heads heads;
  const auto query = SequenceFirst(heads.query, 4, 6);
  const auto key = SequenceFirst(heads.key, 2, 6);
  const auto value = SequenceFirst(heads.value, 2, 6);
  ExpectNear(client_.MultiHeadAttention({.query = TensorRef(query, {5, 24}),
                                         .key = TensorRef(key, {7, 12}),
                                         .value = TensorRef(value, {7, 12}),
                                         .head_count = 4,
                                         .key_value_head_count = 2}),
             {5, 24}, SequenceFirst(Attend(heads), 4, 6));
}

TEST_F(ClientLibraryTest, SelfAttentionProjectsAndReturnsWeights) {
  // A projection that doubles, with a bias; an output projection that adds the two columns.
  const std::vector<double> words = {1, 0, 0, 1, 1, 1};
  const std::vector<double> twice = {2, 0, 0, 2};
  const std::vector<double> bias = {1, -1};
  const std::vector<double> sum = {1, 1};
  Heads heads{.query_heads = 1, .key_heads = 1, .query_count = 3, .key_count = 3, .width = 2};
  heads.query = words;
  heads.key = words;
  heads.value = {3, -1, 1, 1, 3, 1};
  const auto attended = Attend(heads);
  const Projection value = {.weight = TensorRef(twice, {2, 2}), .bias = TensorRef(bias, {2})};
  const Projection output = {.weight = TensorRef(sum, {2, 1})};
  const auto result = client_.SelfAttention({.embeddings = TensorRef(words, {3, 2}),
                                             .projections = {.value = value, .output = output},
                                             .options = {.return_weights = true}});
  ExpectNear(result, {3, 1},
             {attended[0] + attended[1], attended[2] + attended[3], attended[4] + attended[5]});
  ASSERT_TRUE(result->weights.has_value());
  EXPECT_THAT(result->weights->shape(), ElementsAre(1, 3, 3));
  const auto weights = result->weights->ToDoubles();
  EXPECT_NEAR(weights[0] + weights[1] + weights[2], 1, kFloat64Tolerance);
  EXPECT_FALSE(result->scores.has_value());
}

TEST_F(ClientLibraryTest, MaskedAttentionCombinesItsMasks) {
  Heads heads{.query_heads = 1, .key_heads = 1, .query_count = 5, .key_count = 5, .width = 6};
  heads.key = heads.value = heads.query = RandomNumbers(30, 4);
  const bool mask[] = {true, true, false, true, true};
  const std::vector<int64_t> lengths = {4};
  const auto expected =
      Attend(heads, [&](int64_t i, int64_t j) { return j <= i && mask[j] && j < 4; });
  ExpectNear(client_.MaskedAttention({.embeddings = TensorRef(heads.query, {5, 6}),
                                      .options = {.boolean_mask = TensorRef(mask, {5}),
                                                  .causal = Causal{},
                                                  .key_lengths = TensorRef(lengths, {1})}}),
             {5, 6}, expected);
}

TEST_F(ClientLibraryTest, CrossAttentionTakesEveryCausalAlignment) {
  Heads heads{.query_heads = 1, .key_heads = 1};
  const auto ask = [&](Causal causal) {
    return client_.CrossAttention({.query_embeddings = TensorRef(heads.query, {5, 6}),
                                   .memory_embeddings = TensorRef(heads.key, {7, 6}),
                                   .options = {.causal = causal}});
  };
  heads.value = heads.key;
  const auto expect = [&](Causal causal, int64_t offset) {
    ExpectNear(ask(causal), {5, 6},
               Attend(heads, [=](int64_t i, int64_t j) { return j <= i + offset; }));
  };
  expect({.alignment = Causal::Alignment::kTopLeft}, 0);
  expect({.alignment = Causal::Alignment::kBottomRight}, 2);
  expect({.alignment = Causal::Alignment::kOffset, .offset = -2}, -2);
  EXPECT_EQ(ask({.alignment = Causal::Alignment::kEqualCounts}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ClientLibraryTest, ScoresAreThoseOfTheKindAskedFor) {
  const std::vector<double> words = {1, 0, 0, 2};
  const auto ask = [&](ScoresKind kind) {
    return client_.MaskedAttention(
        {.embeddings = TensorRef(words, {2, 2}),
         .options = {.scale = 3.0, .causal = Causal{}, .return_scores = kind}});
  };
  const auto raw = ask(ScoresKind::kRaw);
  ASSERT_TRUE(raw.ok()) << raw.status();
  EXPECT_THAT(raw->scores->ToDoubles(), ElementsAre(3, 0, 0, 12));
  const auto masked = ask(ScoresKind::kMasked);
  ASSERT_TRUE(masked.ok()) << masked.status();
  EXPECT_THAT(masked->scores->ToDoubles(),
              ElementsAre(3, -std::numeric_limits<double>::infinity(), 0, 12));
}

TEST_F(ClientLibraryTest, GeneralAndAdditiveScoresAndTheOtherNormalizations) {
  const std::vector<double> query = {1, 2}, memory = {3, 4, 5, 6};
  const std::vector<double> weight = {0, 1, 2, 0};  // (1, 2) weight = (4, 1)
  const std::vector<double> factors = {1, -1};
  const auto general = client_.CrossAttention(
      {.query_embeddings = TensorRef(query, {1, 2}),
       .memory_embeddings = TensorRef(memory, {2, 2}),
       .options = {.score = GeneralScore{.weight = TensorRef(weight, {2, 2})},
                   .normalization = Normalization::kNone,
                   .multiplicative_mask = TensorRef(factors, {2}),
                   .return_weights = true}});
  ExpectNear(general, {1, 2}, {16 * 3 - 26 * 5, 16 * 4 - 26 * 6});
  EXPECT_THAT(general->weights->ToDoubles(), ElementsAre(16, -26));

  const std::vector<double> identity = {1, 0, 0, 1}, ones = {1, 1};
  const auto additive = client_.CrossAttention(
      {.query_embeddings = TensorRef(query, {1, 2}),
       .memory_embeddings = TensorRef(memory, {2, 2}),
       .options = {.score = AdditiveScore{.query_weight = TensorRef(identity, {2, 2}),
                                          .key_weight = TensorRef(identity, {2, 2}),
                                          .vector = TensorRef(ones, {2})},
                   .normalization = Normalization::kSoftmaxOverQueries,
                   .return_scores = ScoresKind::kRaw}});
  ExpectNear(additive, {1, 2}, {3 + 5, 4 + 6});  // one query has every key to itself
  EXPECT_THAT(additive->scores->ToDoubles(),
              Pointwise(NearBy(kFloat64Tolerance),
                        {std::tanh(4) + std::tanh(6), std::tanh(6) + std::tanh(8)}));
}

TEST_F(ClientLibraryTest, EveryFloatingPointTypeIsAnsweredInKind) {
  const std::vector<double> words = {1, 0, 0, 1};
  const Heads heads{.query_heads = 1,
                    .key_heads = 1,
                    .query_count = 2,
                    .key_count = 2,
                    .width = 2,
                    .query = words,
                    .key = words,
                    .value = words};
  const auto expected = Attend(heads);
  for (const auto& [type, tolerance] :
       {std::pair(DataType::kF32, kFloat32Tolerance), std::pair(DataType::kF16, 0x1p-10),
        std::pair(DataType::kBF16, 0x1p-7), std::pair(DataType::kF64, kFloat64Tolerance)}) {
    SCOPED_TRACE(Name(type));
    const auto tensor = TensorValue::FromDoubles(type, {2, 2}, words);
    ASSERT_TRUE(tensor.ok());
    const auto result = client_.SelfAttention({.embeddings = tensor->ref()});
    ExpectNear(result, {2, 2}, expected, tolerance);
    EXPECT_EQ(result->output.type(), type);
  }
}

TEST_F(ClientLibraryTest, ErrorsKeepCodeAndField) {
  const std::vector<float> words = {1, 0, 0, 1};
  const auto result = client_.SelfAttention({.embeddings = TensorRef(words, {4})});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("embeddings.shape"));
}

TEST_F(ClientLibraryTest, PresentKeysAreThePastOfTheNextStep) {
  const Heads heads;
  const auto step = [&](int64_t first, int64_t count, const AttentionResult* before) {
    const auto rows = [&](const std::vector<double>& numbers) {
      std::vector<double> chosen;
      for (int64_t head = 0; head < 2; ++head) {
        const auto begin = numbers.begin() + (head * 7 + first) * 6;
        chosen.insert(chosen.end(), begin, begin + count * 6);
      }
      return chosen;
    };
    const std::vector<double> key = rows(heads.key), value = rows(heads.value);
    ScaledDotProductAttentionRequest request = {.query = TensorRef(heads.query, {4, 5, 6}),
                                                .key = TensorRef(key, {2, count, 6}),
                                                .value = TensorRef(value, {2, count, 6})};
    request.return_present = true;
    if (before != nullptr) {
      request.past_key = before->present_key->ref();
      request.past_value = before->present_value->ref();
    }
    return client_.ScaledDotProductAttention(request);
  };
  const auto first = step(0, 3, nullptr);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = step(3, 4, &*first);
  ExpectNear(second, {4, 5, 6}, Attend(heads));
  EXPECT_THAT(second->present_key->ToDoubles(), ::testing::ElementsAreArray(heads.key));
}

TEST_F(ClientLibraryTest, StatesOfPartsOfTheKeysMergeIntoTheWhole) {
  const Heads heads{.query_heads = 1, .key_heads = 1};
  const auto part = [&](int64_t first, int64_t count) {
    const auto rows = [&](const std::vector<double>& numbers) {
      return TensorRef(std::span(numbers).subspan(first * 6, count * 6), {1, count, 6});
    };
    return client_.ScaledDotProductAttention({.query = TensorRef(heads.query, {1, 5, 6}),
                                              .key = rows(heads.key),
                                              .value = rows(heads.value),
                                              .options = {.return_log_sum_exp = true}});
  };
  const auto one = part(0, 2), other = part(2, 5);
  ASSERT_TRUE(one.ok() && other.ok()) << one.status() << other.status();
  const auto merged =
      client_.MergeAttentionStates({.states = {{one->output.ref(), one->log_sum_exp->ref()},
                                               {other->output.ref(), other->log_sum_exp->ref()}}});
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_THAT(merged->output.ToDoubles(), Pointwise(NearBy(kFloat64Tolerance), Attend(heads)));
  EXPECT_FALSE(merged->execution.request_id.empty());
}

TEST_F(ClientLibraryTest, ARotaryEmbeddingTurnsPairs) {
  const std::vector<double> row = {3, 4}, cos = {0}, sin = {1};  // a right angle
  const auto turned = client_.ApplyRotaryEmbedding({.input = TensorRef(row, {1, 1, 1, 2}),
                                                    .cos = TensorRef(cos, {1, 1, 1}),
                                                    .sin = TensorRef(sin, {1, 1, 1})});
  ASSERT_TRUE(turned.ok()) << turned.status();
  EXPECT_THAT(turned->output.ToDoubles(), ElementsAre(-4, 3));
}

TEST_F(ClientLibraryTest, InfoAndHealth) {
  const auto info = client_.GetServerInfo();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_THAT(info->implementations, ::testing::Contains("unfused-float64"));
  EXPECT_EQ(info->max_request_bytes, int64_t{256} << 20);
  EXPECT_EQ(client_.CheckHealth().value(), ServingStatus::kServing);
  EXPECT_EQ(client_.CheckHealth("attention.v1.AttentionService").value(), ServingStatus::kServing);
  EXPECT_EQ(client_.CheckHealth("nobody").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientLibraryTest, MessagesOfManyMebibytesPassBothWays) {
  const int64_t rows = 300'000;
  const std::vector<float> queries(rows * 16, 0.5F), memory(16, 2.0F);
  const auto result = client_.CrossAttention({.query_embeddings = TensorRef(queries, {rows, 16}),
                                              .memory_embeddings = TensorRef(memory, {1, 16})});
  ASSERT_TRUE(result.ok()) << result.status();
  const auto output = result->output.As<float>();
  ASSERT_TRUE(output.ok());
  EXPECT_TRUE(std::ranges::all_of(*output, [](float number) { return number == 2.0F; }));
}

TEST(ClientWithoutServerTest, GivesUpWithinItsDeadline) {
  std::string address;
  {
    attention::testing::ServerProcess server;
    address = server.grpc_address();
  }
  AttentionClient client(MakeChannel(address), {.deadline = std::chrono::milliseconds(1500)});
  const std::vector<float> words = {1, 0, 0, 1};
  const auto begin = std::chrono::steady_clock::now();
  const auto result = client.SelfAttention({.embeddings = TensorRef(words, {2, 2})});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_THAT(result.status().code(), ::testing::AnyOf(absl::StatusCode::kUnavailable,
                                                       absl::StatusCode::kDeadlineExceeded));
}

}  // namespace
}  // namespace attention::client
