#include "client/attn/statistics_text.h"

#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

TensorValue Tensor(Shape shape, std::vector<double> numbers, DataType type = DataType::kF32) {
  return TensorValue::FromDoubles(type, std::move(shape), numbers).value();
}

ResultNames Names() {
  ResultNames names;
  names.query_labels = {"a", "bc"};
  names.key_labels = {"x", "y", "z"};
  return names;
}

MatrixStyle TwoDecimals() {
  MatrixStyle style;
  style.decimals = 2;
  return style;
}

TEST(StatisticsTextTest, NothingAskedForIsNothingShown) {
  EXPECT_EQ(FormatStatistics({}, Names(), TwoDecimals()), "");
}

TEST(StatisticsTextTest, StrongestKeysAreNamed) {
  AttentionResult result;
  result.top_weights = Tensor({2, 2, 2}, {0.75, 0.25, 1, 0, 0.5, 0.5, 0, 0});
  result.top_keys = Tensor({2, 2, 2}, {2, 0, 1, -1, 0, 1, -1, -1}, DataType::kInt32);
  EXPECT_EQ(FormatStatistics(result, Names(), TwoDecimals()),
            "strongest keys, head 0\na   z 0.75, x 0.25\nbc  y 1.00\n\n"
            "strongest keys, head 1\na   x 0.50, y 0.50\nbc  none\n\n");
}

TEST(StatisticsTextTest, AQueryWhoseWeightsAreNaNIsNoQueryWithoutKeys) {
  AttentionResult result;
  result.top_weights = Tensor({2, 2}, {std::nan(""), std::nan(""), 0, 0});
  result.top_keys = Tensor({2, 2}, {-1, -1, -1, -1}, DataType::kInt32);
  EXPECT_EQ(FormatStatistics(result, Names(), TwoDecimals()),
            "strongest keys\na   nan\nbc  none\n\n");
}

TEST(StatisticsTextTest, KeysOfARaggedBatchCountFromTheFirstOfTheirSequence) {
  ResultNames names;
  names.query_labels = {"q", "r", "s"};
  names.key_labels = {"a", "b", "c", "d"};
  names.query_starts = {0, 1, 1, 3};
  names.key_starts = {0, 2, 2, 4};
  AttentionResult result;
  result.top_weights = Tensor({3, 1}, {1, 1, 1});
  result.top_keys = Tensor({3, 1}, {1, 0, 1}, DataType::kInt32);
  EXPECT_EQ(FormatStatistics(result, names, TwoDecimals()),
            "strongest keys\nq  b 1.00\nr  c 1.00\ns  d 1.00\n\n");
}

TEST(StatisticsTextTest, AKeyAfterTheLastNamedOneIsTheAppendedOne) {
  AttentionResult result;
  result.top_weights = Tensor({2, 1}, {1, 1});
  result.top_keys = Tensor({2, 1}, {3, 4}, DataType::kInt32);
  EXPECT_EQ(FormatStatistics(result, Names(), TwoDecimals()),
            "strongest keys\na   appended 1.00\nbc  4 1.00\n\n");
}

TEST(StatisticsTextTest, StatisticsOfQueriesShareATable) {
  AttentionResult result;
  result.entropy = Tensor({1, 2}, {0.5, 1});
  result.log_sum_exp = Tensor({1, 2}, {3, -4});
  EXPECT_EQ(FormatStatistics(result, Names(), TwoDecimals()),
            "each query\n   entropy log-sum-exp\na     0.50        3.00\nbc    1.00       "
            "-4.00\n\n");
  result.maximum_weight = Tensor({1, 2}, {0.25, 0.125});
  EXPECT_THAT(FormatStatistics(result, Names(), TwoDecimals()),
              ::testing::HasSubstr("entropy maximum weight log-sum-exp\n"));
}

TEST(StatisticsTextTest, MassIsThatOfTheKeysAndOneHeadNeedsNoNumber) {
  AttentionResult result;
  result.key_mass = Tensor({3}, {1.5, 0.25, 0.25});
  EXPECT_EQ(FormatStatistics(result, Names(), TwoDecimals()),
            "each key\n  mass\nx 1.50\ny 0.25\nz 0.25\n\n");
}

TEST(StatisticsTextTest, LongSequencesAreShortened) {
  AttentionResult result;
  result.top_weights = Tensor({1, 30, 1}, std::vector<double>(30, 1.0));
  result.top_keys = Tensor({1, 30, 1}, std::vector<double>(30, 1.0), DataType::kInt32);
  const std::string text = FormatStatistics(result, Names(), TwoDecimals());
  EXPECT_THAT(text, ::testing::HasSubstr("\n...\n"));
  EXPECT_THAT(text, ::testing::EndsWith("\n30 x 1; --full shows all\n\n"));
  result = {};
  result.entropy = Tensor({1, 30}, std::vector<double>(30, 1.0));
  EXPECT_THAT(FormatStatistics(result, Names(), TwoDecimals()),
              ::testing::EndsWith("\n30 x 1; --full shows all\n\n"));
  MatrixStyle full = TwoDecimals();
  full.shown = {.rows = kOmitted, .columns = kOmitted};
  EXPECT_THAT(FormatStatistics(result, Names(), full), ::testing::Not(::testing::HasSubstr("...")));
}

}  // namespace
}  // namespace attention::client
