#include "kernels/merge_states.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/attend.h"
#include "kernels/reference/reference_attention.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_problem.h"
#include "tests/support/test_tensor.h"
#include "tests/support/thread_executor.h"
#include "tests/support/tolerance.h"

namespace attention::test {
namespace {

using kernels::AttentionState;
using kernels::DataType;
using kernels::Extents;
using kernels::MergedState;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

constexpr DataType kTypes[] = {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64};

DataType LogSumExpType(DataType type) {
  return type == DataType::kF64 ? DataType::kF64 : DataType::kF32;
}

// Half the distance from 1 to the next number.
double Roundoff(DataType type) {
  switch (type) {
    case DataType::kF16:
      return 0x1p-11;
    case DataType::kBF16:
      return 0x1p-8;
    case DataType::kF64:
      return 0x1p-53;
    default:
      return 0x1p-24;
  }
}

// A state with storage of its own.
struct TestState {
  TestState(DataType type, const Extents& extents, Layout layout = Layout::kDense)
      : output(type, extents, layout),
        log_sum_exp(LogSumExpType(type), {extents[0], extents[1], extents[2], 1}, layout) {}

  [[nodiscard]] AttentionState View() const { return {output.view(), log_sum_exp.view()}; }
  [[nodiscard]] MergedState MutableView() {
    return {output.mutable_view(), log_sum_exp.mutable_view()};
  }
  [[nodiscard]] bool SameBitsAs(const TestState& other) const {
    return output.storage() == other.output.storage() &&
           log_sum_exp.storage() == other.log_sum_exp.storage();
  }

  TestTensor output;
  TestTensor log_sum_exp;
};

std::vector<AttentionState> Views(const std::vector<TestState>& states) {
  std::vector<AttentionState> views;
  for (const TestState& state : states) views.push_back(state.View());
  return views;
}

TestState Merge(const std::vector<TestState>& states, Layout layout = Layout::kDense) {
  TestState merged(states[0].output.type(), states[0].output.extents(), layout);
  EXPECT_THAT(MergeAttentionStates(Views(states), merged.MutableView()), IsOk());
  EXPECT_TRUE(merged.output.GuardsIntact() && merged.log_sum_exp.GuardsIntact());
  return merged;
}

TestState RandomState(DataType type, const Extents& extents, uint64_t seed, double spread = 5,
                      Layout layout = Layout::kDense) {
  Random random(seed);
  TestState state(type, extents, layout);
  state.output.Fill([&] { return random.Normal(); });
  state.log_sum_exp.Fill([&] { return spread * random.Normal(); });
  return state;
}

// One row of one state: {numbers, log_sum_exp}.
TestState RowState(DataType type, const std::vector<double>& numbers, double log_sum_exp) {
  TestState state(type, {1, 1, 1, static_cast<int64_t>(numbers.size())});
  for (size_t i = 0; i < numbers.size(); ++i) {
    state.output.Set(0, 0, 0, static_cast<int64_t>(i), numbers[i]);
  }
  state.log_sum_exp.Set(0, 0, 0, 0, log_sum_exp);
  return state;
}

// Scores and values of one query over some keys, and attention over any part of them in float64.
struct Keys {
  std::vector<double> scores;
  std::vector<double> values;

  Keys(uint64_t seed, size_t count) {
    Random random(seed);
    for (size_t i = 0; i < count; ++i) {
      scores.push_back(4 * random.Normal());
      values.push_back(random.Normal());
    }
  }

  // A logit without a value joins the first part.
  [[nodiscard]] TestState Attend(DataType type, size_t begin, size_t end, double sink) const {
    double sum = begin == 0 ? std::exp(sink) : 0;
    double output = 0;
    for (size_t i = begin; i < end; ++i) {
      sum += std::exp(scores[i]);
      output += std::exp(scores[i]) * values[i];
    }
    return RowState(type, {sum == 0 ? 0 : output / sum}, std::log(sum));
  }
};

TEST(MergeAttentionStatesTest, GivesWhatAttentionOverAllKeysGives) {
  for (const DataType type : kTypes) {
    for (const double sink : {-kInfinity, 1.5}) {
      for (size_t shard_count = 2; shard_count <= 8; ++shard_count) {
        const Keys keys(shard_count, 37);
        std::vector<TestState> shards;
        double absolute_output = 0;
        for (size_t s = 0; s < shard_count; ++s) {
          shards.push_back(
              keys.Attend(type, s * 37 / shard_count, (s + 1) * 37 / shard_count, sink));
          absolute_output = std::max(absolute_output, std::abs(shards[s].output.At(0, 0, 0, 0)));
        }
        const TestState whole = keys.Attend(DataType::kF64, 0, 37, sink);
        const TestState merged = Merge(shards);
        // Outputs were rounded to the type and so is the result; a log_sum_exp below 16 in
        // magnitude was rounded by up to 16 units, which is the relative error of its weight.
        const double log_roundoff = 16 * Roundoff(LogSumExpType(type));
        EXPECT_NEAR(merged.output.At(0, 0, 0, 0), whole.output.At(0, 0, 0, 0),
                    absolute_output * (2 * Roundoff(type) + 2 * log_roundoff) + 0x1p-50)
            << Name(type) << " " << shard_count;
        EXPECT_NEAR(merged.log_sum_exp.At(0, 0, 0, 0), whole.log_sum_exp.At(0, 0, 0, 0),
                    2 * log_roundoff + 0x1p-50)
            << Name(type) << " " << shard_count;
      }
    }
  }
}

// The keys [begin, end) of a problem.
kernels::AttentionProblem ShardOf(const kernels::AttentionProblem& whole, int64_t begin,
                                  int64_t end) {
  kernels::AttentionProblem shard = whole;
  for (kernels::TensorView* view : {&shard.key, &shard.value}) {
    view->data = RowAddress(*view, 0, 0, begin);
    view->extents[2] = end - begin;
  }
  if (begin > 0) shard.sinks = {};  // a sink belongs to one of the states
  return shard;
}

TEST(MergeAttentionStatesTest, JoinsShardsOfAttendWithinTheBoundOfTheWhole) {
  for (const DataType type : kTypes) {
    for (const int64_t query_count : {2, 40}) {  // decoding and tiles
      ProblemRecipe recipe;
      recipe.type = type;
      recipe.batch = 2;
      recipe.query_head_count = 4;
      recipe.key_value_head_count = 2;
      recipe.query_count = query_count;
      recipe.key_count = 300;
      recipe.key_width = 32;
      recipe.value_width = 24;
      recipe.sinks = true;
      const TestProblem problem(recipe);
      const kernels::AttentionProblem whole = problem.View();
      const kernels::ReferenceResult reference = ReferenceAttention(whole, recipe.options);
      const Tolerance tolerance = DeriveTolerance(whole, recipe.options, reference);
      for (int64_t shard_count = 2; shard_count <= 8; ++shard_count) {
        std::vector<TestState> states;
        for (int64_t s = 0; s < shard_count; ++s) {
          const auto shard = ShardOf(whole, s * 300 / shard_count, (s + 1) * 300 / shard_count);
          TestState& state = states.emplace_back(type, Extents{2, 4, query_count, 24});
          kernels::AttentionOutputs outputs;
          outputs.output = state.output.mutable_view();
          outputs.log_sum_exp = state.log_sum_exp.mutable_view();
          ASSERT_THAT(Attend(shard, recipe.options, outputs), IsOk());
        }
        const TestState merged = Merge(states);
        EXPECT_TRUE(IsWithin(merged.output.Values(), reference.output, tolerance.output))
            << recipe << " " << shard_count;
        EXPECT_TRUE(
            IsWithin(merged.log_sum_exp.Values(), reference.log_sum_exp, tolerance.log_sum_exp))
            << recipe << " " << shard_count;
      }
    }
  }
}

TEST(MergeAttentionStatesTest, MergesEveryRowOfEveryLayout) {
  const Extents extents = {2, 3, 50, 21};
  for (const DataType type : kTypes) {
    const std::vector<TestState> states = {RandomState(type, extents, 1),
                                           RandomState(type, extents, 2, 5, Layout::kSequenceFirst),
                                           RandomState(type, extents, 3, 5, Layout::kPadded)};
    const TestState merged = Merge(states, Layout::kPadded);
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t h = 0; h < 3; ++h) {
        for (int64_t q = 0; q < 50; ++q) {
          double sum = 0;
          for (const TestState& state : states) sum += std::exp(state.log_sum_exp.At(b, h, q, 0));
          for (int64_t column = 0; column < 21; ++column) {
            double output = 0;
            double absolute = 0;
            for (const TestState& state : states) {
              const double term = std::exp(state.log_sum_exp.At(b, h, q, 0)) / sum *
                                  state.output.At(b, h, q, column);
              output += term;
              absolute += std::abs(term);
            }
            EXPECT_NEAR(merged.output.At(b, h, q, column), output,
                        Roundoff(type) * std::abs(output) + 0x1p-47 * absolute +
                            0x1p-25 * (type == DataType::kF16));
          }
          EXPECT_NEAR(merged.log_sum_exp.At(b, h, q, 0), std::log(sum),
                      Roundoff(LogSumExpType(type)) * std::abs(std::log(sum)) + 0x1p-48);
        }
      }
    }
  }
}

TEST(MergeAttentionStatesTest, ReturnsASingleStateAsItIs) {
  for (const DataType type : kTypes) {
    TestState state = RandomState(type, {2, 2, 40, 13}, 4);
    state.output.Set(0, 0, 0, 0, -0.0);
    state.output.Set(0, 0, 0, 1, kInfinity);
    state.output.Set(0, 0, 0, 2, type == DataType::kF16 ? 0x1p-24 : 0x1p-130);
    state.log_sum_exp.Set(0, 0, 0, 0, -1e4);
    EXPECT_TRUE(Merge({state}).SameBitsAs(state)) << Name(type);
    state.output.Set(0, 0, 0, 0, kNan);
    EXPECT_TRUE(std::isnan(Merge({state}).output.At(0, 0, 0, 0))) << Name(type);
  }
}

TEST(MergeAttentionStatesTest, IsCommutativeAndAssociativeUpToRounding) {
  for (const DataType type : kTypes) {
    const Extents extents = {1, 2, 70, 16};
    std::vector<TestState> states;
    for (uint64_t s = 0; s < 4; ++s) states.push_back(RandomState(type, extents, 10 + s));
    const std::vector<double> at_once = Merge(states).output.Values();
    std::vector<TestState> reversed(states.rbegin(), states.rend());
    const std::vector<double> backwards = Merge(reversed).output.Values();
    const TestState left = Merge({states[0], states[1]});
    const TestState right = Merge({states[2], states[3]});
    const std::vector<double> in_pairs = Merge({left, right}).output.Values();
    for (size_t i = 0; i < at_once.size(); ++i) {
      // No normal number of these seeds is as large as 5.
      EXPECT_NEAR(backwards[i], at_once[i], 5 * (2 * Roundoff(type) + 0x1p-50));
      EXPECT_NEAR(in_pairs[i], at_once[i],
                  5 * (4 * Roundoff(type) + 64 * Roundoff(LogSumExpType(type))));
    }
  }
}

TEST(MergeAttentionStatesTest, LeavesOutWhatSawNothingWhateverItHolds) {
  for (const DataType type : kTypes) {
    const TestState state = RandomState(type, {1, 1, 1, 2}, 5);
    for (const double garbage : {kNan, kInfinity, -kInfinity, 1e4}) {
      const TestState empty = RowState(type, {garbage, garbage}, -kInfinity);
      EXPECT_TRUE(Merge({state, empty}).SameBitsAs(state)) << Name(type);
      EXPECT_TRUE(Merge({empty, state, empty}).SameBitsAs(state)) << Name(type);
      EXPECT_TRUE(Merge({empty, empty}).SameBitsAs(RowState(type, {0, 0}, -kInfinity)));
    }
  }
}

TEST(MergeAttentionStatesTest, PropagatesNanAndInfinityOfWhatCounts) {
  for (const DataType type : kTypes) {
    const TestState one = RowState(type, {1, 2}, 0);
    const TestState poisoned = RowState(type, {kNan, -kInfinity}, 0);
    const TestState merged = Merge({one, poisoned});
    EXPECT_TRUE(std::isnan(merged.output.At(0, 0, 0, 0)));
    EXPECT_EQ(merged.output.At(0, 0, 0, 1), -kInfinity);
    EXPECT_NEAR(merged.log_sum_exp.At(0, 0, 0, 0), std::log(2.0), 1e-7);
    for (const double log_sum_exp : {kNan, kInfinity}) {
      for (const bool first : {false, true}) {
        const TestState lost = RowState(type, {1, 1}, log_sum_exp);
        const TestState result = first ? Merge({lost, one}) : Merge({one, lost});
        EXPECT_TRUE(std::isnan(result.output.At(0, 0, 0, 0))) << Name(type) << log_sum_exp;
        EXPECT_TRUE(std::isnan(result.log_sum_exp.At(0, 0, 0, 0))) << Name(type) << log_sum_exp;
      }
    }
  }
}

TEST(MergeAttentionStatesTest, OverflowsNowhereOnTheWay) {
  const double largest = std::numeric_limits<float>::max();
  for (const double log_sum_exp : {-1e30, -1e4, 0.0, 1e4, 1e30}) {
    const std::vector<TestState> states(7, RowState(DataType::kF32, {largest, 3}, log_sum_exp));
    const TestState merged = Merge(states);
    EXPECT_EQ(merged.output.At(0, 0, 0, 0), largest);
    EXPECT_EQ(merged.output.At(0, 0, 0, 1), 3);
    EXPECT_EQ(merged.log_sum_exp.At(0, 0, 0, 0),
              static_cast<double>(static_cast<float>(log_sum_exp + std::log(7.0))));
  }
  const TestState faint = RowState(DataType::kF32, {1, 1}, -1e30);
  const TestState strong = RowState(DataType::kF32, {2, 3}, 1e30);
  EXPECT_TRUE(Merge({faint, strong}).SameBitsAs(strong));
}

// Shares of a little less than 3/4 and a little more than 1/4 make a sum just above the middle of
// two neighbours in BF16; an f32 on the way would be the middle itself, whose even neighbour is the
// lower one.
TEST(MergeAttentionStatesTest, RoundsOnce) {
  const float log_third = std::nextafter(-std::log(3.0F), 0.0F);
  const double third = std::exp(static_cast<double>(log_third));
  const double exact = 1 + 0x1p-6 * third / (1 + third);
  ASSERT_GT(exact, 1 + 0x1p-8);
  ASSERT_EQ(static_cast<float>(exact), 1 + 0x1p-8F);
  const TestState merged = Merge(
      {RowState(DataType::kBF16, {1}, 0), RowState(DataType::kBF16, {1 + 0x1p-6}, log_third)});
  EXPECT_EQ(merged.output.At(0, 0, 0, 0), 1 + 0x1p-7);
}

TEST(MergeAttentionStatesTest, GivesTheSameBitsOnAnyNumberOfThreads) {
  const Extents extents = {2, 3, 111, 24};
  for (const DataType type : kTypes) {
    std::vector<TestState> states;
    for (uint64_t s = 0; s < 5; ++s) states.push_back(RandomState(type, extents, 20 + s));
    const TestState alone = Merge(states);
    ThreadExecutor executor(3);
    TestState together(type, extents);
    const auto threads =
        MergeAttentionStates(Views(states), together.MutableView(), {.executor = &executor});
    ASSERT_THAT(threads, IsOk());
    EXPECT_EQ(*threads, 3);
    EXPECT_TRUE(together.SameBitsAs(alone)) << Name(type);
  }
}

TEST(MergeAttentionStatesTest, MayWriteOverAState) {
  std::vector<TestState> states = {RandomState(DataType::kBF16, {1, 2, 9, 10}, 6),
                                   RandomState(DataType::kBF16, {1, 2, 9, 10}, 7)};
  const TestState apart = Merge(states);
  ASSERT_THAT(MergeAttentionStates(Views(states), states[1].MutableView()), IsOk());
  EXPECT_TRUE(states[1].SameBitsAs(apart));
}

TEST(MergeAttentionStatesTest, StopsWhenAsked) {
  const std::vector<TestState> states = {RandomState(DataType::kF32, {1, 1, 500, 4}, 8)};
  TestState merged(DataType::kF32, {1, 1, 500, 4});
  const StopAfter stop(3);
  EXPECT_THAT(MergeAttentionStates(Views(states), merged.MutableView(), {.stop = &stop}),
              HasCode(absl::StatusCode::kCancelled));
}

TEST(MergeAttentionStatesTest, HasNothingToDoForNoRows) {
  for (const Extents& extents : {Extents{0, 2, 3, 4}, Extents{2, 2, 0, 4}}) {
    TestState state(DataType::kF32, extents);
    EXPECT_THAT(MergeAttentionStates(Views({state}), state.MutableView()), IsOk());
  }
}

TEST(MergeAttentionStatesTest, RefusesStatesThatDoNotFitTogether) {
  const TestState state(DataType::kF16, {1, 2, 3, 4});
  const auto refusal = [&](const std::vector<AttentionState>& states, TestState merged) {
    const auto result = MergeAttentionStates(states, merged.MutableView());
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(result.status().message());
  };
  const TestState wide(DataType::kF16, {1, 2, 3, 5});
  const TestState single(DataType::kF32, {1, 2, 3, 4});
  const TestState booleans(DataType::kBool, {1, 2, 3, 4});
  EXPECT_EQ(refusal({}, state), "states: got none, want at least one");
  EXPECT_EQ(refusal({booleans.View()}, state),
            "states[0].output.type: got BOOL, want a floating point type");
  EXPECT_EQ(refusal({state.View(), wide.View()}, state),
            "states[1].output.extents: got [1, 2, 3, 5], want [1, 2, 3, 4] as states[0].output");
  EXPECT_EQ(refusal({state.View(), single.View()}, state),
            "states[1].output.type: got F32, want F16 as states[0].output");
  EXPECT_EQ(refusal({{state.output.view(), state.output.view()}}, state),
            "states[0].log_sum_exp.type: got F16, want F32");
  EXPECT_EQ(refusal({{state.output.view(), single.output.view()}}, state),
            "states[0].log_sum_exp.extents: got [1, 2, 3, 4], want [1, 2, 3, 1] as "
            "states[0].output");
  EXPECT_EQ(refusal({state.View()}, single), "output.type: got F32, want F16 as states[0].output");
}

}  // namespace
}  // namespace attention::test
