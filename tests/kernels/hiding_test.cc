// What is hidden, by whatever means, reaches no result: neither outputs nor weights, masked scores
// or statistics. For every implementation, in the paths of many and of few queries.

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/reference/reference_scores.h"
#include "tests/support/implementation_under_test.h"
#include "tests/support/matches_reference.h"
#include "tests/support/sanitized.h"
#include "tests/support/test_problem.h"

namespace attention::test {
namespace {

using kernels::AttentionProblem;
using kernels::DataType;
using kernels::Precision;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

constexpr int64_t kKeyCount = 301;

// Several strips of keys, with a rest; every kind below hides some keys from all queries.
ProblemRecipe PlainRecipe(int64_t query_count) {
  ProblemRecipe recipe;
  recipe.batch = 2;
  recipe.query_head_count = 4;
  recipe.key_value_head_count = 2;
  recipe.query_count = query_count;
  recipe.key_count = kKeyCount;
  recipe.key_width = 33;
  recipe.value_width = 40;
  recipe.statistics = StatisticsRecipe::All(5);
  return recipe;
}

struct Hiding {
  const char* name;
  void (*hide)(ProblemRecipe&);
};

// Masks that are the same for all heads and queries hide keys from all.
constexpr std::array<bool, 4> kSameForAll = {false, true, true, false};

const Hiding kHidings[] = {
    {"boolean", [](ProblemRecipe& r) { r.boolean_mask = MaskRecipe{.broadcast = kSameForAll}; }},
    {"boolean per pair",
     [](ProblemRecipe& r) { r.boolean_mask = MaskRecipe{.hidden_share = 0.99}; }},
    {"additive", [](ProblemRecipe& r) { r.additive_mask = MaskRecipe{.broadcast = kSameForAll}; }},
    {"additive per pair",
     [](ProblemRecipe& r) { r.additive_mask = MaskRecipe{.hidden_share = 0.99}; }},
    {"blocks",
     [](ProblemRecipe& r) {
       r.block_mask = BlockMaskRecipe{
           .query_block_size = 16, .key_block_size = 20, .broadcast = {false, true, true, false}};
     }},
    {"blocks per head",
     [](ProblemRecipe& r) {
       r.block_mask =
           BlockMaskRecipe{.query_block_size = 100, .key_block_size = 7, .hidden_share = 0.7};
     }},
    {"causal", [](ProblemRecipe& r) { r.causal_offset = 130; }},
    {"causal with offsets",
     [](ProblemRecipe& r) {
       r.causal_offset = -20;
       r.query_offsets = true;
     }},
    {"prefix",
     [](ProblemRecipe& r) {
       r.causal_offset = 0;
       r.prefix_lengths = true;
       r.seed = 3;
     }},
    {"left window",
     [](ProblemRecipe& r) {
       r.query_offset = 150;
       r.left_window = 9;
     }},
    {"right window",
     [](ProblemRecipe& r) {
       r.query_offset = -20;
       r.right_window = 30;
     }},
    {"both windows",
     [](ProblemRecipe& r) {
       r.query_offset = 100;
       r.left_window = 20;
       r.right_window = 3;
     }},
    {"lengths", [](ProblemRecipe& r) { r.key_lengths = true; }},
    {"documents", [](ProblemRecipe& r) { r.segments = SegmentRecipe{.count = 6}; }},
    {"scattered segments",
     [](ProblemRecipe& r) { r.segments = SegmentRecipe{.count = 90, .contiguous = false}; }},
    {"everything",
     [](ProblemRecipe& r) {
       r.causal_offset = 200;
       r.query_offsets = r.prefix_lengths = r.key_lengths = true;
       r.left_window = 250;
       r.right_window = 90;
       r.segments = SegmentRecipe{.count = 1};
       r.seed = 5;
       r.block_mask = BlockMaskRecipe{.query_block_size = 16, .key_block_size = 16};
       r.boolean_mask = MaskRecipe{};
       r.additive_mask = MaskRecipe{};
       r.sinks = r.temperatures = r.alibi = true;
       r.options.softcap = 3.0;
     }},
};

// Six products of BF16 parts promise what f32 promises.
enum class Numbers { kF32, kSplitF32, kF16, kBF16, kF64 };

class HidingTest : public testing::TestWithParam<Numbers> {
 protected:
  static void ChooseNumbers(ProblemRecipe& recipe) {
    constexpr DataType kTypes[] = {DataType::kF32, DataType::kF32, DataType::kF16, DataType::kBF16,
                                   DataType::kF64};
    recipe.type = kTypes[static_cast<int>(GetParam())];
    if (GetParam() == Numbers::kSplitF32) recipe.options.precision = Precision::kBF16X6;
  }

  // Calls check(recipe) for every kind of hiding and for the paths of many queries, with values
  // that are packed and that F32 reads where they lie, in several tiles, and of few queries.
  template <typename Check>
  static void ForEachHiding(const Check& check) {
    for (const Hiding& hiding : kHidings) {
      struct Shape {
        int64_t query_count;
        int64_t value_width;
      };
      for (const auto [query_count, value_width] : {Shape{67, 40}, Shape{130, 48}, Shape{3, 40}}) {
        ProblemRecipe recipe = PlainRecipe(query_count);
        recipe.value_width = value_width;
        recipe.weights = query_count > 3;
        if (recipe.weights) recipe.options.scores = kernels::ScoresOutput::kMasked;
        ChooseNumbers(recipe);
        hiding.hide(recipe);
        SCOPED_TRACE(std::string(hiding.name) + ", " + std::to_string(query_count) +
                     " queries, values of " + std::to_string(value_width));
        check(recipe);
      }
    }
  }
};

struct KeyOfHead {
  int64_t batch;
  int64_t key_value_head;
  int64_t key;
};

bool Sees(const AttentionProblem& problem, int64_t head, int64_t query, const KeyOfHead& key) {
  return !kernels::ReferenceHides(problem, {key.batch, head, query, key.key});
}

bool AnyoneSees(const AttentionProblem& problem, const KeyOfHead& key) {
  const int64_t group = problem.query.extents[1] / problem.key.extents[1];
  for (int64_t head = key.key_value_head * group; head < (key.key_value_head + 1) * group; ++head) {
    for (int64_t i = 0; i < problem.query.extents[2]; ++i) {
      if (Sees(problem, head, i, key)) return true;
    }
  }
  return false;
}

std::vector<KeyOfHead> KeysThatNobodySees(const AttentionProblem& problem) {
  std::vector<KeyOfHead> keys;
  for (int64_t batch = 0; batch < problem.key.extents[0]; ++batch) {
    for (int64_t head = 0; head < problem.key.extents[1]; ++head) {
      for (int64_t j = 0; j < problem.key.extents[2]; ++j) {
        if (!AnyoneSees(problem, {batch, head, j})) keys.push_back({batch, head, j});
      }
    }
  }
  return keys;
}

void Fill(const KeyOfHead& key, double value, TestTensor& tensor) {
  for (int64_t i = 0; i < tensor.extents()[3]; ++i)
    tensor.Set(key.batch, key.key_value_head, key.key, i, value);
}

TEST_P(HidingTest, WhatNobodySeesChangesNoBit) {
  if (ForcedToFused() && GetParam() == Numbers::kF64)
    GTEST_SKIP() << "computed by unfused-float64, whatever fused implementation is forced";
  ForEachHiding([](const ProblemRecipe& recipe) {
    const TestProblem problem(recipe);
    const std::vector<KeyOfHead> hidden = KeysThatNobodySees(problem.View());
    ASSERT_GT(hidden.size(), 10u);
    ASSERT_LT(hidden.size(), size_t{2 * 2 * kKeyCount});
    const TestOutputs want = MustAttend(problem);
    if (!kSanitized) {  // The oracle would take most of the time, and other tests ask it there.
      EXPECT_TRUE(MatchesReference(problem, want));
    }
    const std::pair<double, double> garbage[] = {
        {kNaN, kNaN}, {kInfinity, 6e4}, {6e4, -kInfinity}, {-6e4, 1e-30}};
    for (const auto& [in_keys, in_values] : garbage) {
      TestProblem poisoned = problem;
      for (const KeyOfHead& key : hidden) {
        Fill(key, in_keys, poisoned.key);
        Fill(key, in_values, poisoned.value);
      }
      EXPECT_TRUE(MustAttend(poisoned).SameBitsAs(want))
          << in_keys << " in keys, " << in_values << " in values";
    }
  });
}

// What is added to a score that is hidden by other means does not bring it back.
TEST_P(HidingTest, WhatTheAdditiveMaskHoldsForHiddenPairsChangesNoBit) {
  if (ForcedToFused() && GetParam() == Numbers::kF64)
    GTEST_SKIP() << "computed by unfused-float64, whatever fused implementation is forced";
  ForEachHiding([](ProblemRecipe recipe) {
    if (recipe.additive_mask.has_value()) return;
    recipe.additive_mask = MaskRecipe{.hidden_share = 0.0};
    const TestProblem problem(recipe);
    const TestOutputs want = MustAttend(problem);
    TestProblem poisoned = problem;
    for (int64_t batch = 0; batch < 2; ++batch) {
      for (int64_t head = 0; head < 4; ++head) {
        for (int64_t i = 0; i < recipe.query_count; ++i) {
          for (int64_t j = 0; j < recipe.key_count; ++j) {
            if (kernels::ReferenceHides(problem.View(), {batch, head, i, j}))
              poisoned.additive_mask.Set(batch, head, i, j, j % 2 == 0 ? kNaN : kInfinity);
          }
        }
      }
    }
    EXPECT_TRUE(MustAttend(poisoned).SameBitsAs(want));
  });
}

// Products that nobody needs are left out. What a thread's working memory holds in their place,
// from the call before, reaches nobody either.
TEST_P(HidingTest, WhatTheCallBeforeComputedChangesNoBit) {
  if (ForcedToFused() && GetParam() == Numbers::kF64)
    GTEST_SKIP() << "computed by unfused-float64, whatever fused implementation is forced";
  // Whole strips of keys, for the first rows and for the last.
  const auto hides = [](int64_t i, int64_t j) {
    return (i < 70 && j >= 128 && j < 290) || (i >= 70 && j < 130);
  };
  const auto fill = [&](TestTensor& mask, double hidden) {
    for (int64_t i = 0; i < mask.extents()[2]; ++i) {
      for (int64_t j = 0; j < mask.extents()[3]; ++j) {
        if (hides(i, j)) mask.Set(0, 0, i, j, hidden);
      }
    }
  };
  constexpr std::array<bool, 4> kBroadcast = {true, true, false, false};
  const MaskRecipe open = {.broadcast = kBroadcast, .hidden_share = 0.0};
  for (const bool softcap : {false, true}) {
    for (const bool additive : {false, true}) {
      ProblemRecipe recipe = PlainRecipe(/*query_count=*/130);
      recipe.weights = true;
      if (softcap) recipe.options.softcap = 3.0;
      ChooseNumbers(recipe);
      TestProblem before(recipe);
      (additive ? recipe.additive_mask : recipe.boolean_mask) = open;
      TestProblem problem(recipe);
      fill(additive ? problem.additive_mask : problem.boolean_mask, additive ? -kInfinity : 0);
      const TestOutputs want = MustAttend(problem);
      EXPECT_TRUE(MatchesReference(problem, want));
      for (const double query : {kNaN, 6e4}) {
        for (int64_t head = 0; head < 8; ++head) {
          for (int64_t i = 0; i < recipe.query_count; ++i)
            before.query.Set(head / 4, head % 4, i, 0, query);
        }
        EXPECT_TRUE(MustAttend(before).GuardsIntact());
        EXPECT_TRUE(MustAttend(problem).SameBitsAs(want))
            << query << (additive ? " additive" : " boolean") << (softcap ? " softcap" : "");
      }
    }
  }
}

bool SameRow(const TestTensor& a, const TestTensor& b, int64_t batch, int64_t head, int64_t row) {
  return !a.present() || a.RowBytes(batch, head, row) == b.RowBytes(batch, head, row);
}

bool SameRows(const TestOutputs& a, const TestOutputs& b, int64_t batch, int64_t head,
              int64_t query) {
  return SameRow(a.output, b.output, batch, head, query) &&
         SameRow(a.weights, b.weights, batch, head, query) &&
         SameRow(a.scores, b.scores, batch, head, query) &&
         SameRow(a.log_sum_exp, b.log_sum_exp, batch, head, query) &&
         SameRow(a.entropy, b.entropy, batch, head, query) &&
         SameRow(a.maximum_weight, b.maximum_weight, batch, head, query) &&
         SameRow(a.top_weights, b.top_weights, batch, head, query);
}

// A key that some rows of a tile see and others do not.
TEST_P(HidingTest, NaNReachesThoseWhoAttendAndNobodyElse) {
  if (ForcedToFused() && GetParam() == Numbers::kF64)
    GTEST_SKIP() << "computed by unfused-float64, whatever fused implementation is forced";
  int attending = 0;
  int others = 0;
  ForEachHiding([&](const ProblemRecipe& recipe) {
    const TestProblem problem(recipe);
    const AttentionProblem view = problem.View();
    const TestOutputs want = MustAttend(problem);
    for (const bool in_keys : {true, false}) {
      const KeyOfHead key = {1, 0, 102};
      TestProblem poisoned = problem;
      Fill(key, kNaN, in_keys ? poisoned.key : poisoned.value);
      const TestOutputs got = MustAttend(poisoned);
      for (int64_t batch = 0; batch < 2; ++batch) {
        for (int64_t head = 0; head < 4; ++head) {
          for (int64_t i = 0; i < recipe.query_count; ++i) {
            const bool sees =
                batch == key.batch && head / 2 == key.key_value_head && Sees(view, head, i, key);
            ++(sees ? attending : others);
            if (!sees) {
              ASSERT_TRUE(SameRows(got, want, batch, head, i)) << head << " " << i;
              continue;
            }
            ASSERT_TRUE(std::isnan(got.output.At(batch, head, i, 0))) << head << " " << i;
            ASSERT_TRUE(std::isnan(got.output.At(batch, head, i, recipe.value_width - 1)));
            ASSERT_EQ(std::isnan(got.log_sum_exp.At(batch, head, i, 0)), in_keys) << head << i;
          }
        }
      }
    }
  });
  EXPECT_GT(attending, 100);
  EXPECT_GT(others, 100);
}

bool SeesAKey(const AttentionProblem& problem, int64_t batch, int64_t head, int64_t query) {
  const int64_t key_value_head = head * problem.key.extents[1] / problem.query.extents[1];
  for (int64_t j = 0; j < problem.key.extents[2]; ++j) {
    if (Sees(problem, head, query, {batch, key_value_head, j})) return true;
  }
  return false;
}

// A NaN query spoils its own row, sinks or not, but nothing is left of a head of factor 0.
TEST_P(HidingTest, NaNQueriesSpoilTheirRowsButNoHeadOfFactorZero) {
  if (ForcedToFused() && GetParam() == Numbers::kF64)
    GTEST_SKIP() << "computed by unfused-float64, whatever fused implementation is forced";
  constexpr int64_t kBatch = 1;
  constexpr int64_t kQuery = 1;
  constexpr int64_t kHeadOfFactorZero = 2;
  int attending = 0;
  ForEachHiding([&](ProblemRecipe recipe) {
    recipe.head_factors = true;
    for (const bool sinks : {false, true}) {
      recipe.sinks = sinks;
      TestProblem problem(recipe);
      problem.head_factors = {0.5, 1, 0, 2};
      const TestOutputs want = MustAttend(problem);
      TestProblem poisoned = problem;
      for (int64_t head = 0; head < 4; ++head) {
        for (int64_t i = 0; i < recipe.key_width; ++i)
          poisoned.query.Set(kBatch, head, kQuery, i, kNaN);
      }
      const TestOutputs got = MustAttend(poisoned);
      for (int64_t head = 0; head < 4; ++head) {
        SCOPED_TRACE(std::string(sinks ? "sinks, head " : "head ") + std::to_string(head));
        EXPECT_TRUE(SameRows(got, want, kBatch, head, kQuery + 1));
        if (!SeesAKey(problem.View(), kBatch, head, kQuery)) {
          EXPECT_TRUE(SameRows(got, want, kBatch, head, kQuery));
          continue;
        }
        ++attending;
        for (const TestTensor* statistic :
             {&got.log_sum_exp, &got.entropy, &got.maximum_weight, &got.top_weights}) {
          EXPECT_TRUE(std::isnan(statistic->At(kBatch, head, kQuery, 0)));
        }
        const double output = got.output.At(kBatch, head, kQuery, 0);
        if (head != kHeadOfFactorZero) {
          EXPECT_TRUE(std::isnan(output));
          continue;
        }
        EXPECT_EQ(output, 0);
        EXPECT_TRUE(SameRow(got.weights, want.weights, kBatch, head, kQuery));
      }
    }
  });
  EXPECT_GT(attending, 100);
}

std::string NameOf(const testing::TestParamInfo<Numbers>& numbers) {
  constexpr const char* kNames[] = {"F32", "SplitF32", "F16", "BF16", "F64"};
  return kNames[static_cast<int>(numbers.param)];
}

INSTANTIATE_TEST_SUITE_P(Types, HidingTest,
                         testing::Values(Numbers::kF32, Numbers::kSplitF32, Numbers::kF16,
                                         Numbers::kBF16, Numbers::kF64),
                         NameOf);

}  // namespace
}  // namespace attention::test
