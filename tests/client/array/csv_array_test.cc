#include "client/array/csv_array.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Error(std::string_view text) {
  return std::string(ParseCsvArray(text).status().message());
}

TEST(CsvArrayTest, ReadsRowsOfNumbers) {
  const Array array = ParseCsvArray("1,2.5,-3e2\n+4, 5 ,\t6\n").value();
  EXPECT_THAT(array.shape, ElementsAre(2, 3));
  EXPECT_THAT(array.numbers, ElementsAre(1, 2.5, -300, 4, 5, 6));
}

TEST(CsvArrayTest, SkipsEmptyLinesAndCommentsAndCarriageReturns) {
  EXPECT_EQ(ParseCsvArray("# words\r\n\r\n1,2\r\n  \n3,4").value(),
            (Array{.shape = {2, 2}, .numbers = {1, 2, 3, 4}}));
}

TEST(CsvArrayTest, ReadsNumbersThatAreNotFiniteAndTruthValues) {
  const Array array = ParseCsvArray("nan,-inf,Infinity,TRUE,false").value();
  EXPECT_TRUE(std::isnan(array.numbers[0]));
  EXPECT_EQ(array.numbers[1], -std::numeric_limits<double>::infinity());
  EXPECT_EQ(array.numbers[2], std::numeric_limits<double>::infinity());
  EXPECT_EQ(array.numbers[3], 1);
  EXPECT_EQ(array.numbers[4], 0);
}

TEST(CsvArrayTest, RefusesRaggedRowsByTheirLine) {
  EXPECT_EQ(Error("1,2\n\n3\n"), "line 3 has 1 numbers where the lines before it have 2");
  EXPECT_NE(Error("1,2\n3,4,5\n"), "");
}

TEST(CsvArrayTest, RefusesWhatIsNoNumberByItsPlace) {
  EXPECT_EQ(
      Error("1,2\n3,x\n"),
      "line 2, column 2: \"x\" is not a number; want numbers separated by commas and no header "
      "row");
  for (const char* field :
       {"", "1 2", "1;2", "0x10", "--1", "+-1", "\"1\"", "1.2.3", "nanx", "1,"}) {
    EXPECT_THAT(Error("7," + std::string(field)), HasSubstr("is not a number")) << field;
  }
}

TEST(CsvArrayTest, TellsNumbersThatAreTooLargeApartAndRoundsTinyOnesToZero) {
  EXPECT_EQ(Error("1,-1e400"), "line 1, column 2: \"-1e400\" is beyond the numbers of float64");
  EXPECT_EQ(ParseCsvArray("1e-400").value().numbers[0], 0);
}

TEST(CsvArrayTest, QuotesLittleOfAHostileField) {
  const std::string error = Error(std::string(1 << 20, 'a') + "\x1b[31m");
  EXPECT_LT(error.size(), 200u);
  EXPECT_THAT(Error("\x1b[2J\xff"), StartsWith("line 1, column 1: \"?[2J?\" is not a number"));
}

TEST(CsvArrayTest, RefusesATextWithoutNumbers) {
  EXPECT_NE(Error(""), "");
  EXPECT_NE(Error("\n# nothing\n"), "");
}

}  // namespace
}  // namespace attention::client
