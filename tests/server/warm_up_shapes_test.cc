#include "server/warm_up_shapes.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

TEST(ParseWarmUpShapesTest, KnowsTwoWords) {
  const auto none = ParseWarmUpShapes("none");
  ASSERT_THAT(none, IsOk());
  EXPECT_THAT(*none, IsEmpty());
  const auto common = ParseWarmUpShapes("common");
  ASSERT_THAT(common, IsOk());
  EXPECT_EQ(*common, CommonWarmUpShapes());
}

TEST(ParseWarmUpShapesTest, ReadsShapes) {
  const auto shapes = ParseWarmUpShapes("12x128x64,32/8x1000x80");
  ASSERT_THAT(shapes, IsOk());
  EXPECT_THAT(*shapes, ElementsAre(WarmUpShape{12, 12, 128, 64}, WarmUpShape{32, 8, 1000, 80}));
}

TEST(ParseWarmUpShapesTest, ReadsWhatItWrites) {
  const auto again = ParseWarmUpShapes(WarmUpShapesText(CommonWarmUpShapes()));
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(*again, CommonWarmUpShapes());
  EXPECT_EQ(WarmUpShapesText({{12, 12, 128, 64}, {32, 8, 1000, 80}}), "12x128x64,32/8x1000x80");
}

TEST(ParseWarmUpShapesTest, ReadsWhatIsExactlyAtALimit) {
  for (const char* text : {"1x1x1", "1x1048576x64", "64x1x128", "1024x1x8", "8x1x1024"}) {
    EXPECT_THAT(ParseWarmUpShapes(text), IsOk()) << text;
  }
}

TEST(ParseWarmUpShapesTest, RefusesEverythingElse) {
  std::string too_many = "1x1x1";
  for (size_t i = 0; i < kMaxWarmUpShapes; ++i) too_many += ",1x1x1";
  for (const std::string& text : {std::string(),
                                  std::string("some"),
                                  std::string("None"),
                                  std::string("12x128"),
                                  std::string("12x128x64x1"),
                                  std::string("0x128x64"),
                                  std::string("12x0x64"),
                                  std::string("12x128x0"),
                                  std::string("-1x128x64"),
                                  std::string("12x128x64,"),
                                  std::string(",12x128x64"),
                                  std::string("none,12x128x64"),
                                  std::string("32/5x128x64"),
                                  std::string("8/32x128x64"),
                                  std::string("32/8/2x128x64"),
                                  std::string("/8x128x64"),
                                  std::string("1025x1x1"),
                                  std::string("1x1048577x1"),
                                  std::string("1x1x1025"),
                                  std::string("2x1048576x64"),
                                  std::string("65x1x128"),
                                  std::string("99999999999999999999x1x1"),
                                  too_many}) {
    EXPECT_THAT(ParseWarmUpShapes(text),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         StartsWith("got '" + text + "', want none, common or at most 64 shapes")))
        << text;
  }
}

}  // namespace
}  // namespace attention::server
