#include "kernels/visibility.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>

#include "gtest/gtest.h"
#include "tests/support/random.h"

namespace attention::kernels {
namespace {

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

double CountOneByOne(const AttentionProblem& problem) {
  double pairs = 0;
  for (int64_t query = 0; query < problem.query.extents[2]; ++query) {
    const KeyRange keys = VisibleKeys(problem, 0, query);
    EXPECT_LE(keys.begin, keys.end);
    pairs += static_cast<double>(keys.end - keys.begin);
  }
  return pairs;
}

// Whether query sees key, straight from the contract.
bool Sees(const AttentionProblem& problem, int64_t query, int64_t key) {
  const int64_t position = query + problem.query_offset;
  if (!problem.key_lengths.empty() && key >= problem.key_lengths[0]) return false;
  const bool in_prefix = !problem.prefix_lengths.empty() && key < problem.prefix_lengths[0];
  if (problem.causal && key > position && !in_prefix) return false;
  if (problem.left_window.has_value() && key < position - *problem.left_window) return false;
  return !problem.right_window.has_value() || key <= position + *problem.right_window;
}

TEST(VisibilityTest, RangesAndTheirCountFollowTheContract) {
  const std::optional<int64_t> windows[] = {std::nullopt, 0, 3, 8, 100};
  for (const int64_t offset : {-30, -5, 0, 4, 13, 40}) {
    for (const bool causal : {false, true}) {
      for (const int64_t prefix : {0, 5, 20}) {
        for (const auto& left : windows) {
          for (const auto& right : windows) {
            for (const int64_t length : {0, 7, 20}) {
              AttentionProblem problem;
              problem.query.extents = {1, 1, 11, 1};
              problem.key.extents = {1, 1, 20, 1};
              problem.query_offset = offset;
              problem.causal = causal;
              if (causal) problem.prefix_lengths = {&prefix, 1};
              problem.left_window = left;
              problem.right_window = right;
              problem.key_lengths = {&length, 1};
              for (int64_t query = 0; query < 11; ++query) {
                const KeyRange keys = VisibleKeys(problem, 0, query);
                for (int64_t key = 0; key < 20; ++key) {
                  ASSERT_EQ(key >= keys.begin && key < keys.end, Sees(problem, query, key))
                      << offset << " " << causal << " " << prefix << " " << query << " " << key;
                }
              }
              ASSERT_EQ(CountVisiblePairs(problem, 0), CountOneByOne(problem))
                  << offset << " " << causal << " " << prefix << " " << left.value_or(-1) << " "
                  << right.value_or(-1) << " " << length;
            }
          }
        }
      }
    }
  }
}

TEST(VisibilityTest, PositionsAtTheEndsOfTheirRangeAreFine) {
  for (const int64_t offset : {kLeast, kMost}) {
    for (const int64_t window : {0, 1000}) {
      AttentionProblem problem;
      problem.query.extents = {1, 1, 11, 1};
      problem.key.extents = {1, 1, 20, 1};
      problem.query_offset = offset;
      problem.causal = true;
      problem.left_window = window;
      problem.right_window = window;
      EXPECT_EQ(CountVisiblePairs(problem, 0), CountOneByOne(problem)) << offset << " " << window;
    }
  }
}

// Offsets and windows near zero, near each other far away, and at both ends.
TEST(VisibilityTest, TheCountIsExactWhereverPositionsAndWindowsAre) {
  test::Random random(1);
  const auto near = [&](int64_t center) {
    const int64_t step = random.Index(40) - 20;
    return step < 0 ? SaturatingSubtract(center, -step) : SaturatingAdd(center, step);
  };
  const int64_t centers[] = {0, 0, int64_t{1} << 53, int64_t{1} << 60, kMost - 30, kMost};
  const auto center = [&] { return centers[random.Index(std::size(centers))]; };
  const auto now = [&] { return random.Index(2) == 0; };
  for (int i = 0; i < 100'000; ++i) {
    AttentionProblem problem;
    problem.query.extents = {1, 1, random.Index(25), 1};
    problem.key.extents = {1, 1, random.Index(25), 1};
    problem.query_offset = now() ? near(center()) : near(-center());
    if (random.Index(8) == 0) problem.query_offset = near(kLeast);
    problem.causal = now();
    const int64_t prefix = random.Index(problem.key.extents[2] + 1);
    if (problem.causal && now()) problem.prefix_lengths = {&prefix, 1};
    if (now()) problem.left_window = std::max<int64_t>(near(center()), 0);
    if (now()) problem.right_window = std::max<int64_t>(near(center()), 0);
    const int64_t length = random.Index(problem.key.extents[2] + 1);
    if (now()) problem.key_lengths = {&length, 1};
    ASSERT_EQ(CountVisiblePairs(problem, 0), CountOneByOne(problem))
        << problem.query.extents[2] << " queries from " << problem.query_offset << ", "
        << problem.key.extents[2] << " keys, causal " << problem.causal << ", windows "
        << problem.left_window.value_or(-1) << " and " << problem.right_window.value_or(-1);
  }
}

}  // namespace
}  // namespace attention::kernels
