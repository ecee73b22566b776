#include "server/layers/strict_json.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using absl::StatusCode;
using test::HasCode;
using test::IsOk;
using test::StatusIs;
using testing::HasSubstr;

TEST(ParseStrictJsonTest, ReadsAnObject) {
  const auto value = ParseStrictJson(R"({"a": [1, {"b": "c"}], "d": null})");
  ASSERT_THAT(value, IsOk());
  EXPECT_EQ((*value)["a"][1]["b"], "c");
}

TEST(ParseStrictJsonTest, RefusesWhatIsNoObjectAlone) {
  for (const char* const text : {"", "{", "[]", "1", "{} {}", "{},", "{\"a\": 1,}", "{'a': 1}",
                                 "{\"a\": NaN}", "{\"a\": 01}", "// comment\n{}", "\xef\xbb\xbf",
                                 "{\"a\": \"\xff\"}", "{\"\xc0\xaf\": 1}"}) {
    EXPECT_THAT(ParseStrictJson(text), HasCode(StatusCode::kInvalidArgument)) << text;
  }
}

// The parser takes NUL for the end of the text.
TEST(ParseStrictJsonTest, RefusesWhatStandsBehindANulByte) {
  EXPECT_THAT(ParseStrictJson(std::string("{}\0{\"a\": 1}", 11)),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("NUL")));
}

TEST(ParseStrictJsonTest, RefusesANameThatAnObjectHasTwice) {
  EXPECT_THAT(ParseStrictJson(R"({"a": 1, "a": 1})"),
              StatusIs(StatusCode::kInvalidArgument, "got 'a' twice"));
  EXPECT_THAT(ParseStrictJson(R"({"a": {"b": 1, "c": 2, "b": 3}})"),
              StatusIs(StatusCode::kInvalidArgument, "got 'b' twice"));
  EXPECT_THAT(ParseStrictJson(R"({"a": 1, "\u0061": 2})"),
              StatusIs(StatusCode::kInvalidArgument, "got 'a' twice"));
}

TEST(ParseStrictJsonTest, LetsDifferentObjectsHaveTheSameName) {
  EXPECT_THAT(ParseStrictJson(R"({"a": {"a": {"b": 1}}, "c": [{"a": 1}, {"a": 2}]})"), IsOk());
}

TEST(ParseStrictJsonTest, BoundsDepthAndNumberOfValues) {
  EXPECT_THAT(ParseStrictJson(R"({"a": [[[1]]]})"), IsOk());
  EXPECT_THAT(ParseStrictJson(R"({"a": [[[[1]]]]})"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("more than 4 objects")));
  EXPECT_THAT(ParseStrictJson(std::string(1'000'000, '[')), HasCode(StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseStrictJson(R"({"a": [1, 2]})", {.max_depth = 4, .max_values = 4}), IsOk());
  EXPECT_THAT(ParseStrictJson(R"({"a": [1, 2]})", {.max_depth = 4, .max_values = 3}),
              StatusIs(StatusCode::kInvalidArgument, "got more than 3 values"));
}

TEST(IsWholeNumberTest, TakesOnlyWhatIsWrittenAsOne) {
  const auto value = ParseStrictJson(
      R"({"a": [0, 9223372036854775807], "b": [-1, -0, 1.0, 1e0, 9223372036854775808,
                        18446744073709551616, "1", true, null]})");
  ASSERT_THAT(value, IsOk());
  for (const auto& number : (*value)["a"]) EXPECT_TRUE(IsWholeNumber(number)) << number;
  for (const auto& other : (*value)["b"]) EXPECT_FALSE(IsWholeNumber(other)) << other;
}

}  // namespace
}  // namespace attention::server
