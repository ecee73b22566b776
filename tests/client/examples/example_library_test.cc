#include "client/examples/example_library.h"

#include <map>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;

const std::vector<Example>& Examples() {
  static const std::vector<Example> examples = LoadExamples().value();
  return examples;
}

const Example& Named(const std::string& name) {
  for (const Example& example : Examples()) {
    if (example.name == name) return example;
  }
  throw std::runtime_error("no example " + name);
}

TEST(ExampleLibraryTest, HasAllSixteenInTheirOrder) {
  std::vector<std::string> names;
  for (const Example& example : Examples()) names.push_back(example.name);
  EXPECT_THAT(names, ElementsAre("friends", "phrase", "phrase-top3", "sentiment",
                                 "sentiment-scaled", "cat", "cat-heads", "identity-scores",
                                 "identity-heads", "masked-scores", "causal", "cross-scores",
                                 "lookup-exact", "lookup-soft", "seq2seq-dot", "seq2seq-additive"));
}

TEST(ExampleLibraryTest, EveryMethodHasAnExample) {
  std::set<Method> methods;
  for (const Example& example : Examples()) methods.insert(example.method);
  EXPECT_EQ(methods.size(), 5u);
}

TEST(ExampleLibraryTest, EveryExampleExpectsWhatItsSourceGives) {
  // One letter for each of weights, scores, output, strongest, top3.
  const std::map<std::string, std::string> expected = {{"friends", "wo"},
                                                       {"phrase", "wos"},
                                                       {"phrase-top3", "wost"},
                                                       {"sentiment", "wco"},
                                                       {"sentiment-scaled", "wco"},
                                                       {"cat", "wo"},
                                                       {"cat-heads", "wo"},
                                                       {"identity-scores", "c"},
                                                       {"identity-heads", "c"},
                                                       {"masked-scores", "c"},
                                                       {"causal", "wo"},
                                                       {"cross-scores", "c"},
                                                       {"lookup-exact", "wo"},
                                                       {"lookup-soft", "wo"},
                                                       {"seq2seq-dot", "wo"},
                                                       {"seq2seq-additive", "wco"}};
  for (const Example& example : Examples()) {
    std::string letters;
    if (example.expected.weights) letters += "w";
    if (example.expected.scores) letters += "c";
    if (example.expected.output) letters += "o";
    if (!example.expected.strongest.empty()) letters += "s";
    if (!example.expected.top3.empty()) letters += "t";
    EXPECT_EQ(letters, expected.at(example.name)) << example.name;
  }
}

TEST(ExampleLibraryTest, ExpectedShapesFollowFromTheInputs) {
  for (const Example& example : Examples()) {
    Shape weights = {std::ssize(example.query_labels), std::ssize(example.key_labels)};
    if (example.head_count > 1) weights.insert(weights.begin(), example.head_count);
    for (const std::optional<Array>& matrix : {example.expected.weights, example.expected.scores}) {
      EXPECT_EQ(matrix ? matrix->shape : weights, weights) << example.name;
    }
    if (!example.expected.output) continue;
    EXPECT_EQ(example.expected.output->shape[0], std::ssize(example.query_labels)) << example.name;
  }
}

TEST(ExampleLibraryTest, PublishedNumbersAreCarriedOver) {
  const std::vector<double>& friends = Named("friends").expected.output->numbers;
  EXPECT_EQ(friends[0], 0.98522025);
  EXPECT_EQ(friends[1], 1.74174051);
  EXPECT_EQ(friends[2], 0.75652026);
  EXPECT_THAT(Named("sentiment").expected.output->numbers, ElementsAre(-0.81867124));
  EXPECT_THAT(Named("phrase").expected.strongest,
              ElementsAre("The", "quick", "brown", "dog", "jumps", "over", "the", "over", "dog"));
  EXPECT_EQ(Named("lookup-exact").scale, 1000);
  EXPECT_EQ(Named("cat-heads").head_count, 2);
  EXPECT_EQ(Named("identity-heads").head_count, 3);
  EXPECT_TRUE(Named("causal").causal);
  EXPECT_THAT(Named("masked-scores").multiplicative_mask->numbers, ElementsAre(1, 1, 0));
  EXPECT_THAT(Named("cross-scores").query_labels, ElementsAre("너는", "사과를"));
  EXPECT_TRUE(Named("seq2seq-additive").additive_score.has_value());
}

TEST(ExampleLibraryTest, WeightsOfASoftmaxSumToOne) {
  for (const Example& example : Examples()) {
    if (!example.expected.weights || example.expected.weights->shape.size() != 2) continue;
    const auto query_count = static_cast<size_t>(example.expected.weights->shape[0]);
    const auto key_count = static_cast<size_t>(example.expected.weights->shape[1]);
    const bool over_keys = example.normalization == Normalization::kSoftmaxOverKeys;
    std::vector<double> sums(over_keys ? query_count : key_count);
    for (size_t query = 0; query < query_count; ++query) {
      for (size_t key = 0; key < key_count; ++key) {
        sums[over_keys ? query : key] += example.expected.weights->numbers[query * key_count + key];
      }
    }
    // Each number is rounded to 8 decimals, so a sum is off by at most half of that for each.
    for (const double sum : sums) EXPECT_NEAR(sum, 1, 0.5e-8 * 12) << example.name;
  }
}

}  // namespace
}  // namespace attention::client
