#include "client/attn/rotary_tables.h"

#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;

TEST(RotaryTablesTest, AnglesFallWithThePairAndGrowWithThePosition) {
  const RotaryTables tables = MakeRotaryTables(std::vector<int64_t>{0, 1, 2}, 4, 100.0);
  // base^(-2 k / width): 1 for the first pair, 100^(-1/2) = 0.1 for the second.
  EXPECT_THAT(tables.cos, ElementsAre(1, 1, DoubleEq(std::cos(1.0)), DoubleEq(std::cos(0.1)),
                                      DoubleEq(std::cos(2.0)), DoubleEq(std::cos(0.2))));
  EXPECT_THAT(tables.sin, ElementsAre(0, 0, DoubleEq(std::sin(1.0)), DoubleEq(std::sin(0.1)),
                                      DoubleEq(std::sin(2.0)), DoubleEq(std::sin(0.2))));
}

}  // namespace
}  // namespace attention::client
