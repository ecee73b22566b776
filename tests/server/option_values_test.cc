#include "server/option_values.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using test::HasCode;
using test::IsOk;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

TEST(ParseByteCountTest, KnowsTheUnits) {
  const struct {
    const char* text;
    int64_t bytes;
  } cases[] = {{"0", 0},
               {"17", 17},
               {"17B", 17},
               {"3KiB", 3072},
               {"256MiB", 268'435'456},
               {"2GiB", 2'147'483'648},
               {"5kB", 5000},
               {"5MB", 5'000'000},
               {"5GB", 5'000'000'000}};
  for (const auto& each : cases) {
    const auto bytes = ParseByteCount(each.text);
    ASSERT_THAT(bytes, IsOk());
    EXPECT_EQ(*bytes, each.bytes) << each.text;
  }
}

TEST(ParseByteCountTest, RefusesWhatIsNoCount) {
  for (const char* text : {"", "MiB", "-1", "1.5MiB", "12x", "1 0", "9223372036854775808",
                           "9000000000GiB", "1mib", "0x10"}) {
    EXPECT_THAT(ParseByteCount(text), HasCode(kInvalid)) << text;
  }
}

TEST(ByteCountTextTest, IsShortAndExact) {
  EXPECT_EQ(ByteCountText(int64_t{256} << 20), "256MiB");
  EXPECT_EQ(ByteCountText(int64_t{2} << 30), "2GiB");
  EXPECT_EQ(ByteCountText(1536), "1536");
  EXPECT_EQ(ByteCountText(3072), "3KiB");
  EXPECT_EQ(ByteCountText(0), "0");
  for (const int64_t bytes : {int64_t{1}, int64_t{1024}, int64_t{1025}, int64_t{7} << 30}) {
    EXPECT_EQ(*ParseByteCount(ByteCountText(bytes)), bytes);
  }
}

TEST(ParseWholeNumberTest, KeepsToItsRange) {
  EXPECT_EQ(*ParseWholeNumber("3", 1, 5), 3);
  EXPECT_EQ(*ParseWholeNumber("1", 1, 5), 1);
  EXPECT_EQ(*ParseWholeNumber("5", 1, 5), 5);
  for (const char* text : {"0", "6", "", "x", "3.0", "99999999999999999999"}) {
    EXPECT_THAT(ParseWholeNumber(text, 1, 5), HasCode(kInvalid)) << text;
  }
}

TEST(ParsePositiveNumberTest, WantsAFiniteNumberAboveZero) {
  EXPECT_EQ(*ParsePositiveNumber("1e13"), 1e13);
  EXPECT_EQ(*ParsePositiveNumber("0.5"), 0.5);
  for (const char* text : {"0", "-1", "nan", "inf", "1e999", "", "x"}) {
    EXPECT_THAT(ParsePositiveNumber(text), HasCode(kInvalid)) << text;
  }
}

TEST(ParseBooleanTest, KnowsTheUsualWords) {
  for (const char* text : {"true", "TRUE", "on", "yes", "1"}) EXPECT_TRUE(*ParseBoolean(text));
  for (const char* text : {"false", "Off", "no", "0"}) EXPECT_FALSE(*ParseBoolean(text));
  for (const char* text : {"", "2", "maybe"}) EXPECT_THAT(ParseBoolean(text), HasCode(kInvalid));
}

}  // namespace
}  // namespace attention::server
