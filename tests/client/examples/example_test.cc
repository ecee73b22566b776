#include "client/examples/example.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A small example with `fields` in its middle.
std::string Text(const std::string& fields,
                 const std::string& expected = R"({"output": [[1, 2]]})") {
  return R"({"name": "n", "title": "t", "method": "self", "normalization": "none", )"
         R"("embeddings": [[1, 2]], )" +
         fields + R"( "expected": )" + expected + "}";
}

std::string Error(const std::string& text) {
  return std::string(ParseExample(text).status().message());
}

TEST(ExampleTest, ReadsWhatIsThereAndLeavesTheRest) {
  const Example example = ParseExample(Text("")).value();
  EXPECT_EQ(example.name, "n");
  EXPECT_EQ(example.method, Method::kSelf);
  EXPECT_EQ(example.normalization, Normalization::kNone);
  EXPECT_THAT(example.query.shape, ElementsAre(1, 2));
  EXPECT_EQ(example.head_count, 1);
  EXPECT_FALSE(example.scale.has_value());
  EXPECT_FALSE(example.expected.weights.has_value());
  EXPECT_THAT(example.query_labels, ElementsAre("query 0"));
  EXPECT_THAT(example.key_labels, ElementsAre("key 0"));
}

TEST(ExampleTest, RefusesAMisspeltField) {
  EXPECT_THAT(Error(Text(R"("sclae": 1,)")), HasSubstr("sclae is unknown"));
  EXPECT_THAT(Error(Text("", R"({"output": [[1, 2]], "weigths": [[1]]})")),
              HasSubstr("weigths is unknown"));
  EXPECT_THAT(Error(Text(R"("projections": {"qeury": [[1]]},)")), HasSubstr("qeury is unknown"));
}

TEST(ExampleTest, RefusesAnExampleThatExpectsNothing) {
  EXPECT_THAT(Error(Text("", "{}")), HasSubstr("no numbers"));
  EXPECT_THAT(Error(Text("", R"({"strongest": ["a"]})")), HasSubstr("no numbers"));
}

TEST(ExampleTest, RefusesLabelsThatAreNotOneForEachWord) {
  EXPECT_THAT(Error(Text(R"("query_labels": ["a", "b"],)")),
              HasSubstr("2 query labels for 1 rows"));
  EXPECT_THAT(Error(Text("", R"({"output": [[1, 2]], "strongest": ["a", "b"]})")),
              HasSubstr("incomplete"));
  EXPECT_THAT(Error(Text("", R"({"output": [[1, 2]], "top3": [["a"]]})")), HasSubstr("incomplete"));
}

TEST(ExampleTest, RefusesWrongTypesAndMissingInputs) {
  EXPECT_NE(Error(""), "");
  EXPECT_NE(Error("[]"), "");
  EXPECT_NE(Error("{}"), "");
  EXPECT_NE(Error(Text(R"("scale": "1",)")), "");
  EXPECT_NE(Error(Text(R"("causal": 1,)")), "");
  EXPECT_NE(Error(Text(R"("head_count": 1.5,)")), "");
  EXPECT_NE(Error(Text(R"("multiplicative_mask": [[1], 2],)")), "");
  EXPECT_NE(Error(Text(R"("additive_score": {"query_weight": [[1]]},)")), "");
  EXPECT_NE(
      Error(
          R"({"method": "cross", "normalization": "none", "query": [[1]], )"
                  R"("expected": {"output": [[1]]}})"),
      "");
  EXPECT_NE(
      Error(R"({"method": "selfish", "normalization": "none", "expected": {"output": [[1]]}})"),
      "");
}

}  // namespace
}  // namespace attention::client
