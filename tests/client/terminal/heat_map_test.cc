#include "client/terminal/heat_map.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr ShownCounts kAll = {.rows = kOmitted, .columns = kOmitted};
const std::vector<double> kFive = {0, 0.25, 0.5, 0.75, 1};

TEST(HeatMapTest, FiveBlocksSpanTheNumbers) {
  EXPECT_EQ(FormatHeatMap({{"나"}, {"a", "b", "c", "d", "e"}, kFive}, HeatMapStyle::kBlocks, kAll),
            "     a     b     c     d     e\n"
            "나       ░░░░░ ▒▒▒▒▒ ▓▓▓▓▓ █████\n"
            "0.0000 [  ░░▒▒▓▓██] 1.0000\n");
}

TEST(HeatMapTest, BlocksNeedNoEscapeSequences) {
  EXPECT_THAT(FormatHeatMap({{"r"}, {"a", "b", "c", "d", "e"}, kFive}, HeatMapStyle::kBlocks, kAll),
              Not(HasSubstr("\x1b")));
}

TEST(HeatMapTest, ColoursSpanViridisAndEachCellIsReset) {
  const std::string map =
      FormatHeatMap({{"r"}, {"a", "b", "c", "d", "e"}, kFive}, HeatMapStyle::kTrueColour, kAll);
  EXPECT_THAT(map, HasSubstr("\x1b[48;2;68;1;84m\x1b[38;5;231m0.00 \x1b[0m"));
  EXPECT_THAT(map, HasSubstr("\x1b[48;2;253;231;37m\x1b[38;5;16m1.00 \x1b[0m"));
}

TEST(HeatMapTest, TheColourCubeIsUsedWhereThereAreOnly256) {
  const std::string map =
      FormatHeatMap({{"r"}, {"a", "b", "c", "d", "e"}, kFive}, HeatMapStyle::k256Colours, kAll);
  EXPECT_THAT(map, HasSubstr("\x1b[48;5;54m"));
  EXPECT_THAT(map, Not(HasSubstr("48;2;")));
}

TEST(HeatMapTest, EqualNumbersAreFullUnlessTheyAreZero) {
  const std::vector<double> ones = {1, 1};
  EXPECT_THAT(FormatHeatMap({{"r"}, {"a", "b"}, ones}, HeatMapStyle::kBlocks, kAll),
              HasSubstr("█████ █████\n"));
  const std::vector<double> zeros = {0, 0};
  EXPECT_THAT(FormatHeatMap({{"r"}, {"a", "b"}, zeros}, HeatMapStyle::kBlocks, kAll),
              HasSubstr("r\n0.0000"));
}

TEST(HeatMapTest, NumbersTooNearToTellApartAreEqual) {
  const std::vector<double> near = {0, std::numeric_limits<double>::denorm_min()};
  EXPECT_THAT(FormatHeatMap({{"r"}, {"a", "b"}, near}, HeatMapStyle::kBlocks, kAll),
              HasSubstr("r       █████\n"));
  EXPECT_THAT(FormatHeatMap({{"r"}, {"a", "b"}, near}, HeatMapStyle::k256Colours, kAll),
              Not(HasSubstr("-")));
}

TEST(HeatMapTest, NumbersThatAreNotFiniteHaveTheirSigns) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> numbers = {std::nan(""), -infinity, 2};
  EXPECT_THAT(FormatHeatMap({{"r"}, {"a", "b", "c"}, numbers}, HeatMapStyle::kBlocks, kAll),
              HasSubstr("r   ?     .   █████\n2.0000"));
  const std::vector<double> none = {-infinity};
  EXPECT_THAT(FormatHeatMap({{"r"}, {"a"}, none}, HeatMapStyle::kTrueColour, kAll),
              HasSubstr("no finite numbers"));
}

TEST(HeatMapTest, TheLargestDoublesHaveTheirPlaces) {
  const double largest = std::numeric_limits<double>::max();
  const std::vector<double> numbers = {-largest, largest};
  EXPECT_THAT(FormatHeatMap({{"r"}, {"a", "b"}, numbers}, HeatMapStyle::kBlocks, kAll),
              HasSubstr("r       █████\n"));
}

TEST(HeatMapTest, ALargeMatrixIsSummarized) {
  const std::vector<double> numbers(64 * 64, 0.5);
  const LabelledMatrix matrix = {NumberedLabels("", 64), NumberedLabels("", 64), numbers};
  const std::string map = FormatHeatMap(matrix, HeatMapStyle::kBlocks, {.rows = 4, .columns = 4});
  EXPECT_EQ(std::count(map.begin(), map.end(), '\n'), 7);
  EXPECT_THAT(map, HasSubstr("..."));
}

}  // namespace
}  // namespace attention::client
