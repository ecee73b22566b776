// Masks may lie in memory with any strides, as parts, transposes and reversals of other arrays do:
// the bits are those of a dense one. For every implementation.

#include <cstddef>
#include <cstdlib>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/convert.h"
#include "tests/support/implementation_under_test.h"
#include "tests/support/matches_reference.h"
#include "tests/support/test_problem.h"

namespace attention::test {
namespace {

using kernels::AttentionProblem;
using kernels::DataType;
using kernels::Normalization;
using kernels::TensorView;

constexpr int64_t kKeyCount = 301;

struct Strides {
  int64_t query;
  int64_t key;
};

// The numbers of a tensor with other strides; the heads lie behind each other.
class Rearranged {
 public:
  Rearranged(const TestTensor& tensor, const Strides& strides)
      : view_{nullptr, tensor.type(), tensor.extents(), {}} {
    const auto& [batch_count, head_count, query_count, key_count] = tensor.extents();
    const auto element_bytes = static_cast<int64_t>(kernels::ElementBytes(tensor.type()));
    const int64_t first = strides.key < 0 ? -strides.key * (key_count - 1) : 0;
    const int64_t head_stride =
        std::abs(strides.query) * query_count + std::abs(strides.key) * key_count;
    view_.strides = {head_count * head_stride, head_stride, strides.query, strides.key};
    bytes_.assign(static_cast<size_t>(batch_count * head_count * head_stride * element_bytes),
                  std::byte{0xA5});
    std::byte* const data = bytes_.data() + first * element_bytes;
    view_.data = data;
    for (int64_t batch = 0; batch < batch_count; ++batch) {
      for (int64_t head = 0; head < head_count; ++head) {
        for (int64_t i = 0; i < query_count; ++i) {
          for (int64_t j = 0; j < key_count; ++j) {
            const int64_t at =
                (batch * head_count + head) * head_stride + i * strides.query + j * strides.key;
            const double number = tensor.At(batch, head, i, j);
            if (tensor.type() == DataType::kBool) {
              data[at] = number != 0 ? std::byte{1} : std::byte{0};
            } else {
              kernels::StoreElements(tensor.type(), &number, 1, data + at * element_bytes);
            }
          }
        }
      }
    }
  }

  [[nodiscard]] const TensorView& view() const { return view_; }

 private:
  std::vector<std::byte> bytes_;
  TensorView view_;
};

ProblemRecipe PlainRecipe(int64_t query_count) {
  ProblemRecipe recipe;
  recipe.batch = 2;
  recipe.query_head_count = 4;
  recipe.key_value_head_count = 2;
  recipe.query_count = query_count;
  recipe.key_count = kKeyCount;
  recipe.key_width = 33;
  recipe.value_width = 40;
  recipe.weights = query_count > 3;
  return recipe;
}

// `mask` is what `in` finds in the problem.
void ExpectTheBitsOfADenseOne(const TestProblem& problem, const TestTensor& mask,
                              TensorView& (*in)(AttentionProblem&)) {
  const TestOutputs want = MustAttend(problem);
  EXPECT_TRUE(MatchesReference(problem, want));
  const auto& [batch_count, head_count, row_count, column_count] = mask.extents();
  for (const Strides& strides : {Strides{2 * column_count, 2}, Strides{3 * column_count + 1, 3},
                                 Strides{column_count, -1}, Strides{1, row_count}}) {
    const Rearranged rearranged(mask, strides);
    AttentionProblem view = problem.View();
    in(view) = rearranged.view();
    TestOutputs got(problem.recipe);
    const auto report = Attend(view, problem.recipe.options, got.View());
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->implementation, want.report.implementation);
    EXPECT_TRUE(got.SameBitsAs(want)) << strides.query << " and " << strides.key;
  }
}

// Of the paths of many and of few queries, with softcaps, which take another, and without.
template <typename Check>
void ForEachPath(const Check& check) {
  for (const int64_t query_count : {67, 3}) {
    for (const bool softcap : {false, true}) {
      ProblemRecipe recipe = PlainRecipe(query_count);
      if (softcap) recipe.options.softcap = 3.0;
      SCOPED_TRACE(std::to_string(query_count) + (softcap ? " queries, softcap" : " queries"));
      check(recipe);
    }
  }
}

TEST(MaskStridesTest, BooleanMasks) {
  ForEachPath([](ProblemRecipe recipe) {
    recipe.boolean_mask = MaskRecipe{};
    const TestProblem problem(recipe);
    ExpectTheBitsOfADenseOne(problem, problem.boolean_mask,
                             [](AttentionProblem& p) -> TensorView& { return p.boolean_mask; });
  });
}

TEST(MaskStridesTest, BlockMasks) {
  ForEachPath([](ProblemRecipe recipe) {
    recipe.block_mask = BlockMaskRecipe{.query_block_size = 16, .key_block_size = 20};
    const TestProblem problem(recipe);
    ExpectTheBitsOfADenseOne(problem, problem.block_mask,
                             [](AttentionProblem& p) -> TensorView& { return p.block_mask.mask; });
  });
}

TEST(MaskStridesTest, AdditiveMasks) {
  ForEachPath([](ProblemRecipe recipe) {
    for (const DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64}) {
      recipe.additive_mask = MaskRecipe{.type = type};
      const TestProblem problem(recipe);
      ExpectTheBitsOfADenseOne(problem, problem.additive_mask,
                               [](AttentionProblem& p) -> TensorView& { return p.additive_mask; });
    }
  });
}

TEST(MaskStridesTest, MultiplicativeMasks) {
  if (ForcedToFused()) GTEST_SKIP() << "offered by unfused-float64 alone";
  ProblemRecipe recipe = PlainRecipe(/*query_count=*/67);
  recipe.options.normalization = Normalization::kNone;
  recipe.multiplicative_mask = MaskRecipe{};
  const TestProblem problem(recipe);
  ExpectTheBitsOfADenseOne(
      problem, problem.multiplicative_mask,
      [](AttentionProblem& p) -> TensorView& { return p.multiplicative_mask; });
}

}  // namespace
}  // namespace attention::test
