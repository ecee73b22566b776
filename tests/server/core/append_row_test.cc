#include "server/core/append_row.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace attention::server {
namespace {

using testing::ElementsAre;

// Two sequences of two rows of width 2, and the row that each gets.
const std::vector<float> kRows = {1, 2, 3, 4, 5, 6, 7, 8};
const std::vector<float> kRow = {-1, -2};

AppendedRow TwoSequences() {
  return {.row = kRow.data(), .row_bytes = 2 * sizeof(float), .batch = 2, .row_count = 2};
}

TEST(AppendRowTest, AppendsToEachSequence) {
  std::vector<float> extended(12);
  AppendRow(TwoSequences(), kRows.data(), extended.data());
  EXPECT_THAT(extended, ElementsAre(1, 2, 3, 4, -1, -2, 5, 6, 7, 8, -1, -2));
}

TEST(AppendRowTest, WorksInPlace) {
  std::vector<float> extended = kRows;
  extended.resize(12);
  AppendRow(TwoSequences(), extended.data(), extended.data());
  EXPECT_THAT(extended, ElementsAre(1, 2, 3, 4, -1, -2, 5, 6, 7, 8, -1, -2));
}

TEST(AppendRowTest, MakesSequencesOfOneRowOfEmptyOnes) {
  AppendedRow appended = TwoSequences();
  appended.row_count = 0;
  std::vector<float> extended(4);
  AppendRow(appended, nullptr, extended.data());
  EXPECT_THAT(extended, ElementsAre(-1, -2, -1, -2));
}

}  // namespace
}  // namespace attention::server
