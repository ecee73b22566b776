#include "client/array/json_array.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Error(std::string_view text) {
  return std::string(ParseJsonArray(text).status().message());
}

TEST(JsonArrayTest, NestingIsTheShape) {
  EXPECT_EQ(ParseJsonArray("[1, 2]").value(), (Array{.shape = {2}, .numbers = {1, 2}}));
  EXPECT_EQ(ParseJsonArray(" [[[1], [2]]]\n").value(),
            (Array{.shape = {1, 2, 1}, .numbers = {1, 2}}));
  EXPECT_EQ(ParseJsonArray("[[true, false]]").value(), (Array{.shape = {1, 2}, .numbers = {1, 0}}));
}

TEST(JsonArrayTest, EmptyListsAreEmptyAxes) {
  EXPECT_THAT(ParseJsonArray("[]").value().shape, ElementsAre(0));
  EXPECT_THAT(ParseJsonArray("[[], []]").value().shape, ElementsAre(2, 0));
}

TEST(JsonArrayTest, NumbersThatJsonLacksAreWords) {
  const Array array = ParseJsonArray(R"(["NaN", "Infinity", "-Infinity"])").value();
  EXPECT_TRUE(std::isnan(array.numbers[0]));
  EXPECT_EQ(array.numbers[1], std::numeric_limits<double>::infinity());
  EXPECT_EQ(array.numbers[2], -std::numeric_limits<double>::infinity());
  EXPECT_NE(Error("[\"nan\"]"), "");
}

TEST(JsonArrayTest, RefusesRaggedLists) {
  EXPECT_EQ(Error("[[1, 2], [3]]"),
            "the JSON at [1] has 1 entries where the lists before it have 2");
  EXPECT_THAT(Error("[1, [2]]"), HasSubstr("[1]"));
  EXPECT_THAT(Error("[[1], 2]"), HasSubstr("[1] has a number beside lists"));
  EXPECT_THAT(Error("[[], 2]"), HasSubstr("[1]"));
  EXPECT_NE(Error("[[], [1]]"), "");
}

TEST(JsonArrayTest, RefusesWhatIsNoNumber) {
  for (const char* text :
       {"", "1", "{}", "[null]", "[\"1\"]", "[{}]", "[1,]", "[1] 2", "[[1]", "[1e999]"}) {
    EXPECT_NE(Error(text), "") << text;
  }
}

TEST(JsonArrayTest, TellsWhereATextStopsToBeJson) {
  EXPECT_EQ(Error("[NaN]"), "line 1, column 2: what comes here is not JSON");
  EXPECT_EQ(Error("[[1,2],\n [3,4],\n]"), "line 3, column 1: what comes here is not JSON");
  EXPECT_EQ(Error("[[1,2]"), "the JSON ends before its lists do");
  EXPECT_EQ(Error(""), "the JSON ends before its lists do");
}

TEST(JsonArrayTest, TellsNumbersThatAreTooLargeApart) {
  EXPECT_EQ(Error("[[1,2],[3,1e400]]"),
            "line 1, column 11: this number is beyond those of float64");
  EXPECT_EQ(ParseJsonArray("[1e-400]").value().numbers[0], 0);
}

TEST(JsonArrayTest, RefusesDeepNesting) {
  EXPECT_TRUE(ParseJsonArray("[[[[1]]]]").ok());
  EXPECT_THAT(Error("[[[[[1]]]]]"), HasSubstr("nested deeper than 4"));
  EXPECT_NE(Error(std::string(10'000, '[')), "");
  EXPECT_NE(Error(std::string(10'000, '[') + std::string(10'000, ']')), "");
}

TEST(JsonArrayTest, WritesWhatItReads) {
  for (const char* text : {"[]", "[[],[]]", "[1.0,2.0]", "[[[1.0],[2.5]],[[3.0],[\"NaN\"]]]",
                           "[[\"-Infinity\",0.1]]"}) {
    EXPECT_EQ(ArrayToJson(ParseJsonArray(text).value()).dump(), text);
  }
}

TEST(JsonArrayTest, WholeNumbersHaveNoPoint) {
  const std::string text = "[[1,-2],[0,1099511627776]]";
  EXPECT_EQ(ArrayToJson(ParseJsonArray(text).value(), /*whole=*/true).dump(), text);
}

}  // namespace
}  // namespace attention::client
