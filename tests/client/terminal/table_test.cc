#include "client/terminal/table.h"

#include <cmath>
#include <limits>

#include "client/terminal/display_width.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

constexpr ShownCounts kAll = {.rows = kOmitted, .columns = kOmitted};

TEST(NumberTextTest, HasTheDecimalsAskedFor) {
  EXPECT_EQ(NumberText(0.98522025, 8), "0.98522025");
  EXPECT_EQ(NumberText(0.005, 2), "0.01");
  EXPECT_EQ(NumberText(-0.818671239, 8), "-0.81867124");
  EXPECT_EQ(NumberText(2, 0), "2");
  EXPECT_EQ(NumberText(1.5e12, 3), "1.500e+12");
  EXPECT_EQ(NumberText(-std::numeric_limits<double>::max(), 2), "-1.80e+308");
}

TEST(NumberTextTest, NeverShowsANegativeZero) {
  EXPECT_EQ(NumberText(-0.0, 2), "0.00");
  EXPECT_EQ(NumberText(-1e-9, 2), "0.00");
  EXPECT_EQ(NumberText(-0.01, 2), "-0.01");
}

TEST(NumberTextTest, NamesWhatIsNotFinite) {
  EXPECT_EQ(NumberText(std::nan(""), 2), "nan");
  EXPECT_EQ(NumberText(std::numeric_limits<double>::infinity(), 2), "inf");
  EXPECT_EQ(NumberText(-std::numeric_limits<double>::infinity(), 2), "-inf");
}

TEST(TableTest, AlignsDoubleWidthLabels) {
  const std::vector<double> numbers = {1, 0, -0.5, 10};
  EXPECT_EQ(FormatTable({{"나는", "I"}, {"사과를", "x"}, numbers}, 2, kAll),
            "     사과를     x\n"
            "나는   1.00  0.00\n"
            "I     -0.50 10.00\n");
}

TEST(TableTest, EveryLineOfATableIsEquallyWide) {
  const std::vector<double> numbers = {1, 2, 3, 4, 5, 6};
  const std::string table =
      FormatTable({{"👩‍👩‍👧", "e\u0301", "漢字"}, {"ก", "🇰🇷"}, numbers}, 3, kAll);
  size_t start = 0;
  for (size_t end = table.find('\n'); end != std::string::npos;
       start = end + 1, end = table.find('\n', start)) {
    EXPECT_EQ(DisplayWidth(table.substr(start, end - start)), 16) << table;
  }
}

TEST(TableTest, ShowsHeadAndTailOfALargeMatrix) {
  std::vector<double> numbers(100 * 50);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i);
  const LabelledMatrix matrix = {NumberedLabels("r", 100), NumberedLabels("c", 50), numbers};
  EXPECT_EQ(FormatTable(matrix, 0, {.rows = 3, .columns = 2}),
            "      c0 ...  c49\n"
            "r0     0 ...   49\n"
            "r1    50 ...   99\n"
            "...  ... ...  ...\n"
            "r99 4950 ... 4999\n");
}

TEST(TableTest, LabelsCannotMoveTheCursorOrFloodTheLine) {
  const std::vector<double> numbers = {1};
  const std::string table = FormatTable({{"\x1b[2J"}, {std::string(1000, 'x')}, numbers}, 0, kAll);
  EXPECT_EQ(table.find('\x1b'), std::string::npos);
  EXPECT_LT(table.size(), 100u);
}

TEST(TableTest, PairsAreAligned) {
  EXPECT_EQ(FormatPairs({{"a", "1"}, {"long", "2\n"}}), "a     1\nlong  2\uFFFD\n");
}

TEST(HeadAndTailTest, ShowsAllOfAShortAxisAndBothEndsOfALongOne) {
  using Indices = std::vector<size_t>;
  EXPECT_EQ(HeadAndTail(3, 3), (Indices{0, 1, 2}));
  EXPECT_EQ(HeadAndTail(4, 3), (Indices{0, 1, kOmitted, 3}));
  EXPECT_EQ(HeadAndTail(9, 4), (Indices{0, 1, kOmitted, 7, 8}));
  EXPECT_EQ(HeadAndTail(9, 1), (Indices{0, kOmitted}));
  EXPECT_EQ(HeadAndTail(0, 3), Indices{});
  EXPECT_EQ(HeadAndTail(2, kOmitted), (Indices{0, 1}));
}

}  // namespace
}  // namespace attention::client
