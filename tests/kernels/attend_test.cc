// The public interface: what Attend refuses and how, and what its estimates say.

#include "kernels/attend.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kernels/rejection.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_problem.h"

namespace attention::test {
namespace {

using kernels::AttentionOptions;
using kernels::AttentionOutputs;
using kernels::AttentionProblem;
using kernels::DataType;
using kernels::DenseView;
using kernels::Extents;
using kernels::Normalization;
using kernels::ScoreKind;
using kernels::ScoresOutput;

TEST(ValidateTest, RejectsBadOperands) {
  constexpr int64_t kHuge = int64_t{1} << 40;
  const Rejection rejections[] = {
      {"query type",
       [](Call& c) { c.problem.query.type = DataType::kBool; },
       {"query.type", "BOOL", "floating"}},
      {"key type",
       [](Call& c) { c.problem.key.type = DataType::kF64; },
       {"key.type", "F64", "F32"}},
      {"value type",
       [](Call& c) { c.problem.value.type = DataType::kBF16; },
       {"value.type", "BF16", "F32"}},
      {"negative batch",
       [](Call& c) { c.problem.query.extents[0] = -1; },
       {"query.extents[0]", "-1", ">= 0"}},
      {"no query heads",
       [](Call& c) { c.problem.query.extents[1] = 0; },
       {"query.extents[1]", "got 0", "> 0"}},
      {"negative queries",
       [](Call& c) { c.problem.query.extents[2] = -3; },
       {"query.extents[2]", "-3", ">= 0"}},
      {"no key width",
       [](Call& c) { c.problem.query.extents[3] = 0; },
       {"query.extents[3]", "got 0", "> 0"}},
      {"no key heads",
       [](Call& c) { c.problem.key.extents[1] = 0; },
       {"key.extents[1]", "got 0", "> 0"}},
      {"negative keys",
       [](Call& c) { c.problem.key.extents[2] = -1; },
       {"key.extents[2]", "-1", ">= 0"}},
      {"no value width",
       [](Call& c) { c.problem.value.extents[3] = 0; },
       {"value.extents[3]", "got 0", "> 0"}},
      {"overflow",
       [](Call& c) { c.problem.query.extents = {kHuge, kHuge, kHuge, kHuge}; },
       {"query.extents", "2^63"}},
      {"overflow that wraps to zero",
       [](Call& c) { c.problem.key.extents = {1 << 30, 1 << 30, 1 << 4, 1}; },
       {"key.extents", "2^63"}},
      {"null query", [](Call& c) { c.problem.query.data = nullptr; }, {"query.data", "null"}},
      {"null value", [](Call& c) { c.problem.value.data = nullptr; }, {"value.data", "null"}},
      {"query stride",
       [](Call& c) { c.problem.query.strides[3] = 2; },
       {"query.strides[3]", "2", "1"}},
      {"key batch",
       [](Call& c) { c.problem.key.extents[0] = 1; },
       {"key.extents[0]", "got 1", "2"}},
      {"value batch",
       [](Call& c) { c.problem.value.extents[0] = 3; },
       {"value.extents[0]", "got 3", "2"}},
      {"key width",
       [](Call& c) { c.problem.key.extents[3] = 9; },
       {"key.extents[3]", "got 9", "6"}},
      {"value heads",
       [](Call& c) { c.problem.value.extents[1] = 1; },
       {"value.extents[1]", "got 1", "2"}},
      {"value count",
       [](Call& c) { c.problem.value.extents[2] = 4; },
       {"value.extents[2]", "got 4", "5"}},
      {"group",
       [](Call& c) { c.problem.key.extents[1] = c.problem.value.extents[1] = 3; },
       {"query.extents[1]", "got 4", "3"}},
  };
  for (const Rejection& rejection : rejections) ExpectRejected(FullRecipe(), rejection);
}

TEST(ValidateTest, RejectsBadMasksAndLengths) {
  static const std::vector<int64_t> too_few = {1};
  static const std::vector<int64_t> negative = {1, -1};
  static const std::vector<int64_t> too_long = {6, 1};
  const Rejection rejections[] = {
      {"boolean type",
       [](Call& c) { c.problem.boolean_mask.type = DataType::kF32; },
       {"boolean_mask", "F32", "BOOL"}},
      {"boolean batch",
       [](Call& c) { c.problem.boolean_mask.extents[0] = 1; },
       {"boolean_mask.extents", "[1,", "[2,"}},
      {"boolean keys",
       [](Call& c) { c.problem.boolean_mask.extents[3] = 4; },
       {"boolean_mask.extents", "4]", "5]"}},
      {"additive type",
       [](Call& c) { c.problem.additive_mask.type = DataType::kBool; },
       {"additive_mask", "BOOL"}},
      {"additive heads",
       [](Call& c) { c.problem.additive_mask.extents[1] = 2; },
       {"additive_mask.extents", ", 2, ", ", 4, "}},
      {"multiplicative under softmax",
       [](Call& c) { c.problem.multiplicative_mask = c.problem.additive_mask; },
       {"multiplicative_mask", "softmax", "none"}},
      {"few lengths", [](Call& c) { c.problem.key_lengths = too_few; }, {"key_lengths", "1", "2"}},
      {"negative length",
       [](Call& c) { c.problem.key_lengths = negative; },
       {"key_lengths[1]", "-1", "0 and 5"}},
      {"long length",
       [](Call& c) { c.problem.key_lengths = too_long; },
       {"key_lengths[0]", "6", "0 and 5"}},
  };
  for (const Rejection& rejection : rejections) ExpectRejected(FullRecipe(), rejection);
}

TEST(ValidateTest, RejectsBadOptionsAndOutputs) {
  const Rejection rejections[] = {
      {"NaN scale", [](Call& c) { c.options.scale = std::nan(""); }, {"scale", "NaN", "finite"}},
      {"infinite scale",
       [](Call& c) { c.options.scale = -std::numeric_limits<double>::infinity(); },
       {"scale", "infinity", "finite"}},
      {"output width",
       [](Call& c) { c.outputs.output.extents[3] = 6; },
       {"output.extents", "6]", "7]"}},
      {"output type",
       [](Call& c) { c.outputs.output.type = DataType::kF16; },
       {"output.type", "F16", "F32"}},
      {"null output", [](Call& c) { c.outputs.output.data = nullptr; }, {"output.data", "null"}},
      {"output stride",
       [](Call& c) { c.outputs.output.strides[3] = 2; },
       {"output.strides[3]", "2", "1"}},
      {"weights keys",
       [](Call& c) { c.outputs.weights.extents[3] = 4; },
       {"weights.extents", "4]", "5]"}},
      {"weights strides",
       [](Call& c) { c.outputs.weights.strides[2] = 8; },
       {"weights.strides", "8", "5"}},
      {"weights type",
       [](Call& c) { c.outputs.weights.type = DataType::kF64; },
       {"weights.type", "F64", "F32"}},
      {"no scores", [](Call& c) { c.outputs.scores = {}; }, {"scores"}},
      {"scores queries",
       [](Call& c) { c.outputs.scores.extents[2] = 4; },
       {"scores.extents", "4, ", "3, "}},
  };
  for (const Rejection& rejection : rejections) ExpectRejected(FullRecipe(), rejection);
}

TEST(ValidateTest, RejectsBadScoreParameters) {
  constexpr int64_t kWrapping = int64_t{1} << 62;  // times 4 bytes is 0 in 64 bits
  const Rejection general[] = {
      {"no weight", [](Call& c) { c.problem.score_first_weight = {}; }, {"score_first_weight"}},
      {"weight extents",
       [](Call& c) { c.problem.score_first_weight.extents[3] = 5; },
       {"score_first_weight.extents", "5]", "6]"}},
      {"weight type",
       [](Call& c) { c.problem.score_first_weight.type = DataType::kF64; },
       {"score_first_weight.type", "F64", "F32"}},
      {"weight strides",
       [](Call& c) { c.problem.score_first_weight.strides[2] = 7; },
       {"score_first_weight.strides", "7", "6"}},
  };
  const Rejection additive[] = {
      {"no second weight",
       [](Call& c) { c.problem.score_second_weight = {}; },
       {"score_second_weight"}},
      {"no vector",
       [](Call& c) { c.problem.score_vector = {}; },
       {"score_vector.extents[3]", "got 0", "> 0"}},
      {"null vector",
       [](Call& c) { c.problem.score_vector.data = nullptr; },
       {"score_vector.data", "null"}},
      {"second weight rows",
       [](Call& c) { c.problem.score_second_weight.extents[2] = 4; },
       {"score_second_weight.extents", "4, ", "6, "}},
      {"huge hidden width",
       [](Call& c) {
         for (auto* view : {&c.problem.score_first_weight, &c.problem.score_second_weight,
                            &c.problem.score_vector}) {
           view->extents[3] = kWrapping;
           view->data = nullptr;
         }
       },
       {"score_"}},
  };
  ProblemRecipe recipe = FullRecipe();
  recipe.options.score = ScoreKind::kGeneral;
  for (const Rejection& rejection : general) ExpectRejected(recipe, rejection);
  recipe.options.score = ScoreKind::kAdditive;
  for (const Rejection& rejection : additive) ExpectRejected(recipe, rejection);
}

TEST(ValidateTest, AcceptsNullDataWhereThereIsNothingToRead) {
  ProblemRecipe recipe;
  recipe.query_count = recipe.key_count = 0;
  const TestProblem problem(recipe);
  TestOutputs outputs(recipe);
  Call call = {problem.View(), recipe.options, outputs.View()};
  call.problem.query.data = call.problem.key.data = call.problem.value.data = nullptr;
  call.outputs.output.data = nullptr;
  EXPECT_THAT(Attend(call.problem, call.options, call.outputs), IsOk());
}

TEST(AttendTest, NoKeysGiveZeros) {
  for (const DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64}) {
    ProblemRecipe recipe;
    recipe.key_count = 0;
    recipe.type = type;
    for (const double output : MustAttend(TestProblem(recipe)).output.Values())
      EXPECT_EQ(output, 0.0);
  }
}

// One number, read again and again.
kernels::TensorView Repeated(const uint16_t* number, const Extents& extents) {
  return {number, DataType::kF16, extents, {0, 0, 0, 1}};
}

// More keys than the memory of any machine has room for, in tables, scores and packed rows: what
// throws is std::bad_alloc or std::length_error, in the calling thread or in an item.
TEST(AttendTest, MoreKeysThanAnyMemoryHoldsAreRefused) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers end a program whose operator new asks for so much";
#endif
  for (const bool float64 : {false, true}) {
    for (const int64_t key_count : {int64_t{1} << 59, int64_t{1} << 60}) {
      for (const bool alibi : {false, true}) {
        const int64_t head_count = key_count >> 59 == 1 ? 4 : 1;
        const Extents rows = {1, head_count, 1, 1};
        const uint16_t number = 0;
        uint16_t outputs[4] = {};
        const std::vector<double> slopes(static_cast<size_t>(head_count), 0.1);
        AttentionProblem problem;
        problem.query = Repeated(&number, rows);
        problem.key = problem.value = Repeated(&number, {1, 1, key_count, 1});
        if (alibi) problem.alibi.slopes = slopes;
        AttentionOutputs views;
        views.output = DenseView(outputs, DataType::kF16, rows);
        EXPECT_THAT(Attend(problem, {.float64 = float64}, views),
                    HasCode(absl::StatusCode::kResourceExhausted))
            << key_count << " " << alibi << " " << float64;
      }
    }
  }
}

// Counted one pair after the other.
double CountFlops(const AttentionProblem& problem) {
  double pairs = 0;
  for (int64_t batch = 0; batch < problem.query.extents[0]; ++batch) {
    for (int64_t i = 0; i < problem.query.extents[2]; ++i) {
      for (int64_t j = 0; j < problem.key.extents[2]; ++j) {
        const bool causal = !problem.causal || j - i <= problem.query_offset;
        const bool inside =
            problem.key_lengths.empty() || j < problem.key_lengths[static_cast<size_t>(batch)];
        if (causal && inside) pairs += static_cast<double>(problem.query.extents[1]);
      }
    }
  }
  return 2 * pairs * static_cast<double>(problem.query.extents[3] + problem.value.extents[3]);
}

TEST(EstimateFlopsTest, CountsThePairsThatAreVisible) {
  for (const int64_t query_count : {0, 1, 7, 20}) {
    for (const int64_t key_count : {0, 1, 7, 20}) {
      for (const bool lengths : {false, true}) {
        ProblemRecipe recipe;
        recipe.batch = 3;
        recipe.query_head_count = 2;
        recipe.query_count = query_count;
        recipe.key_count = key_count;
        recipe.key_lengths = lengths;
        const TestProblem problem(recipe);
        AttentionProblem view = problem.View();
        EXPECT_EQ(EstimateFlops(view), CountFlops(view));
        for (int64_t offset = -25; offset <= 25; ++offset) {
          view.causal = true;
          view.query_offset = offset;
          EXPECT_EQ(EstimateFlops(view), CountFlops(view))
              << query_count << " " << key_count << " " << offset;
        }
        for (const int64_t offset :
             {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
          view.causal = true;
          view.query_offset = offset;
          EXPECT_EQ(EstimateFlops(view), CountFlops(view)) << offset;
        }
      }
    }
  }
}

TEST(EstimateFlopsTest, DoesNotOverflow) {
  AttentionProblem problem;
  problem.query.extents = {1, 1 << 20, 1 << 30, 1};
  problem.key.extents = {1, 1, 1 << 30, 1};
  problem.value.extents = {1, 1, 1 << 30, 1};
  EXPECT_DOUBLE_EQ(EstimateFlops(problem), std::ldexp(1.0, 20 + 30 + 30 + 2));
}

TEST(RunsInFloat64Test, SaysWhatTheReportSays) {
  for (const DataType type : {DataType::kF32, DataType::kF64}) {
    for (const Normalization normalization :
         {Normalization::kSoftmaxOverKeys, Normalization::kSoftmaxOverQueries}) {
      ProblemRecipe recipe;
      recipe.type = type;
      recipe.options.normalization = normalization;
      const TestProblem problem(recipe);
      EXPECT_EQ(RunsInFloat64(problem.View(), recipe.options),
                MustAttend(problem).report.precision == "f64");
    }
  }
}

}  // namespace
}  // namespace attention::test
