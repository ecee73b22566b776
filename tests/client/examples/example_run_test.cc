#include "client/examples/example_run.h"

#include <cmath>

#include "client/examples/example_library.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_service.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Two queries over three keys, all numbers expected.
Example SmallExample() {
  Example example;
  example.name = "small";
  example.query_labels = {"a", "b"};
  example.key_labels = {"x", "y", "z"};
  example.query = {.shape = {2, 1}, .numbers = {1, 2}};
  example.expected.weights = Array{.shape = {2, 3}, .numbers = {0.2, 0.5, 0.3, 0.6, 0.1, 0.3}};
  example.expected.output = Array{.shape = {2, 1}, .numbers = {7, 8}};
  example.expected.strongest = {"y", "x"};
  example.expected.top3 = {{"y", "z", "x"}, {"x", "z", "y"}};
  return example;
}

ExampleAnswer RightAnswer() {
  ExampleAnswer answer;
  answer.weights = {.shape = {1, 2, 3}, .numbers = {0.2, 0.5, 0.3, 0.6, 0.1, 0.3}};
  answer.scores = answer.weights;
  answer.output = {.shape = {2, 1}, .numbers = {7, 8}};
  return answer;
}

TEST(CompareExampleTest, ARightAnswerIsComparedWhole) {
  const Comparison comparison = CompareExample(SmallExample(), RightAnswer(), 1e-8);
  EXPECT_THAT(comparison.differences, SizeIs(0));
  EXPECT_EQ(comparison.compared_count, 6 + 2 + 2 + 6);
}

TEST(CompareExampleTest, TheToleranceIsTheBound) {
  ExampleAnswer answer = RightAnswer();
  answer.output.numbers[0] += 0.9e-8;
  EXPECT_THAT(CompareExample(SmallExample(), answer, 1e-8).differences, SizeIs(0));
  answer.output.numbers[0] += 0.2e-8;
  EXPECT_THAT(CompareExample(SmallExample(), answer, 1e-8).differences, SizeIs(1));
}

TEST(CompareExampleTest, ADifferenceHasItsPlaceAndBothValues) {
  ExampleAnswer answer = RightAnswer();
  answer.output.numbers[1] = 8.5;
  const Comparison comparison = CompareExample(SmallExample(), answer, 1e-8);
  ASSERT_THAT(comparison.differences, SizeIs(1));
  EXPECT_EQ(comparison.differences[0].place, "output[1][0]");
  EXPECT_EQ(comparison.differences[0].expected, "8");
  EXPECT_EQ(comparison.differences[0].actual, "8.5");
}

TEST(CompareExampleTest, NaNAndWrongShapesNeverMatch) {
  ExampleAnswer answer = RightAnswer();
  answer.output.numbers[1] = std::nan("");
  EXPECT_THAT(CompareExample(SmallExample(), answer, 1e-8).differences, SizeIs(1));
  answer.output = {.shape = {1, 2}, .numbers = {7, 8}};
  EXPECT_EQ(CompareExample(SmallExample(), answer, 1e-8).differences[0].place, "output shape");
}

TEST(CompareExampleTest, LabelsComeFromTheAnswersWeights) {
  Example example = SmallExample();
  example.expected.weights.reset();
  ExampleAnswer answer = RightAnswer();
  std::swap(answer.weights.numbers[0], answer.weights.numbers[1]);
  const Comparison comparison = CompareExample(example, answer, 1e-8);
  ASSERT_THAT(comparison.differences, SizeIs(3));
  EXPECT_EQ(comparison.differences[0].place, "strongest[0]");
  EXPECT_EQ(comparison.differences[0].actual, "x");
  EXPECT_EQ(comparison.differences[1].place, "top3[0][0]");
}

TEST(StrongestKeysTest, AreOrderedAndTheFirstOfEqualOnesLeads) {
  ExampleAnswer answer = RightAnswer();
  EXPECT_THAT(StrongestKeys(answer, 0, 1, 3), ElementsAre(0, 2, 1));
  EXPECT_THAT(StrongestKeys(answer, 0, 0, 1), ElementsAre(1));
  answer.weights.numbers = {1, 1, 1, 0, 1, 1};
  EXPECT_THAT(StrongestKeys(answer, 0, 0, 2), ElementsAre(0, 1));
  EXPECT_THAT(StrongestKeys(answer, 0, 1, 9), ElementsAre(1, 2, 0));
}

class RunExampleTest : public ::testing::Test {
 protected:
  // What the server is sent for a compiled-in example.
  template <typename Request>
  Request Sent(const std::string& name, DataType type = DataType::kF64) {
    const std::vector<Example> examples = LoadExamples().value();
    for (const Example& example : examples) {
      if (example.name == name) status_ = RunExample(example, type, &client_).status();
    }
    return service_.last_request<Request>();
  }

  FakeService service_;
  AttentionClient client_{MakeChannel(service_.address())};
  absl::Status status_;
};

TEST_F(RunExampleTest, AsksForWeightsAndMaskedScoresInTheTypeGiven) {
  const auto request = Sent<v1::SelfAttentionRequest>("friends");
  EXPECT_EQ(service_.last_method(), "SelfAttention");
  EXPECT_EQ(request.embeddings().data_type(), v1::DATA_TYPE_F64);
  EXPECT_THAT(request.embeddings().shape(), ElementsAre(4, 3));
  EXPECT_THAT(request.projections().value().weight().shape(), ElementsAre(3, 3));
  EXPECT_FALSE(request.options().has_scale()) << "1/sqrt(3) is the default";
  EXPECT_TRUE(request.options().return_weights());
  EXPECT_EQ(request.options().return_scores(), v1::SCORES_KIND_MASKED);
  EXPECT_EQ(Sent<v1::SelfAttentionRequest>("friends", DataType::kF32).embeddings().data_type(),
            v1::DATA_TYPE_F32);
}

TEST_F(RunExampleTest, EveryKindOfExampleGoesToItsMethod) {
  const auto masked = Sent<v1::MaskedAttentionRequest>("masked-scores");
  EXPECT_EQ(service_.last_method(), "MaskedAttention");
  EXPECT_THAT(masked.options().multiplicative_mask().shape(), ElementsAre(3));
  const auto causal = Sent<v1::MaskedAttentionRequest>("causal");
  EXPECT_TRUE(causal.options().has_causal());
  const auto heads = Sent<v1::MultiHeadAttentionRequest>("cat-heads");
  EXPECT_EQ(service_.last_method(), "MultiHeadAttention");
  EXPECT_EQ(heads.head_count(), 2);
  EXPECT_THAT(heads.projections().query().weight().shape(), ElementsAre(3, 2));
  const auto cross = Sent<v1::CrossAttentionRequest>("seq2seq-additive");
  EXPECT_EQ(service_.last_method(), "CrossAttention");
  EXPECT_THAT(cross.memory_embeddings().shape(), ElementsAre(6, 4));
  EXPECT_THAT(cross.options().additive_score().vector().shape(), ElementsAre(5));
  const auto ready = Sent<v1::ScaledDotProductAttentionRequest>("sentiment");
  EXPECT_EQ(service_.last_method(), "ScaledDotProductAttention");
  EXPECT_THAT(ready.value().shape(), ElementsAre(1, 3, 1));
  EXPECT_EQ(ready.options().scale(), 1);
}

TEST_F(RunExampleTest, AnAnswerOfTheWrongShapeIsTheServersFault) {
  Sent<v1::SelfAttentionRequest>("friends");
  EXPECT_EQ(status_.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(status_.message(), HasSubstr("without the weights"));
}

}  // namespace
}  // namespace attention::client
