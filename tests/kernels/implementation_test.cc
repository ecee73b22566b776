#include "kernels/implementation.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/implementation_under_test.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_problem.h"

namespace attention::test {
namespace {

using kernels::AllImplementations;
using kernels::DataType;
using kernels::Implementation;
using kernels::UsableImplementations;
using kernels::UseImplementation;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Names(std::span<const Implementation* const> implementations) {
  std::vector<std::string> names;
  for (const Implementation* implementation : implementations)
    names.emplace_back(implementation->name());
  return names;
}

TEST(ImplementationTest, AllAreListedInOrderOfPreference) {
  EXPECT_THAT(Names(AllImplementations()),
              ElementsAre("fused-amx", "fused-avx512-bf16", "fused-avx512", "fused-avx2",
                          "unfused-float64"));
  for (const Implementation* implementation : AllImplementations()) {
    EXPECT_FALSE(implementation->description().empty()) << implementation->name();
  }
}

TEST(ImplementationTest, AnUnknownNameIsRefusedNamingTheKnownOnes) {
  for (const char* name : {"", "fused", "fused-avx2 ", "FUSED-AVX2", "reference"}) {
    EXPECT_THAT(UseImplementation(name),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(name), HasSubstr("fused-amx"), HasSubstr("fused-avx512"),
                               HasSubstr("fused-avx2"), HasSubstr("unfused-float64"))));
  }
}

TEST(ImplementationTest, UnfusedFloat64IsAlwaysUsable) {
  EXPECT_EQ(UsableImplementations().back()->name(), "unfused-float64");
}

TEST(ImplementationTest, NoneOffersToTurnQueriesAndKeys) {
  const ProblemRecipe recipe;
  kernels::AttentionProblem problem = TestProblem(recipe).View();
  for (const Implementation* implementation : AllImplementations()) {
    problem.rotary.reset();
    EXPECT_TRUE(implementation->Offers(problem, recipe.options)) << implementation->name();
    problem.rotary = kernels::RotaryEmbedding{};
    EXPECT_FALSE(implementation->Offers(problem, recipe.options)) << implementation->name();
  }
}

TEST(ImplementationTest, AtMostOneFusedImplementationIsUsable) {
  EXPECT_LE(UsableImplementations().size(), 2u);
}

// Plain attention in the types that every fused implementation offers. One query uses no tiles.
TEST(ImplementationTest, TheReportNamesTheOneThatRan) {
  for (const DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16}) {
    for (const int64_t query_count : {1, 40}) {
      ProblemRecipe recipe;
      recipe.type = type;
      recipe.query_count = query_count;
      recipe.key_count = 50;
      const kernels::AttentionReport report = MustAttend(TestProblem(recipe)).report;
      const Implementation* preferred = UsableImplementations().front();
      EXPECT_EQ(report.implementation, preferred->name());
      const bool float64 = preferred->name() == "unfused-float64";
      const std::string_view of_products =
          query_count > 1 ? PrecisionThatRuns(type, recipe.options.precision) : "f32";
      EXPECT_EQ(report.precision, float64 ? "f64" : of_products);
    }
  }
}

TEST(ImplementationTest, Float64AndSpecialOptionsRunUnfusedWhateverIsForced) {
  ProblemRecipe recipe;
  recipe.type = DataType::kF64;
  EXPECT_EQ(MustAttend(TestProblem(recipe)).report.implementation, "unfused-float64");
  recipe.type = DataType::kF32;
  recipe.options.normalization = kernels::Normalization::kNone;
  EXPECT_EQ(MustAttend(TestProblem(recipe)).report.implementation, "unfused-float64");
}

TEST(ImplementationTest, AForcedOneIsTheOnlyOneOrHasOnlyFloat64Beside) {
  const Implementation* forced = ForcedImplementation();
  if (forced == nullptr) GTEST_SKIP() << "none is forced";
  if (ForcedToFloat64()) {
    EXPECT_THAT(Names(UsableImplementations()), ElementsAre("unfused-float64"));
  } else {
    EXPECT_THAT(Names(UsableImplementations()),
                ElementsAre(std::string(forced->name()), "unfused-float64"));
  }
}

TEST(ImplementationTest, AForcedFusedOneCapsTheInstructionSet) {
  if (!ForcedToFused()) GTEST_SKIP() << "no fused implementation is forced";
  const std::string name(ForcedImplementation()->name());
  EXPECT_EQ(kernels::InstructionSet(), name == "fused-amx"           ? "avx512_amx"
                                       : name == "fused-avx512-bf16" ? "avx512_bf16"
                                       : name == "fused-avx512"      ? "avx512"
                                                                     : "avx2");
}

TEST(ImplementationTest, ForcingAnotherFusedOneAfterAComputationIsRefused) {
  const std::string_view used = MustAttend(TestProblem(ProblemRecipe{})).report.implementation;
  if (used == "unfused-float64") GTEST_SKIP() << "no fused implementation ran";
  for (const Implementation* other : AllImplementations()) {
    if (other->name() == used || other->name() == "unfused-float64") continue;
    EXPECT_THAT(UseImplementation(other->name()), HasCode(absl::StatusCode::kFailedPrecondition))
        << other->name();
  }
  EXPECT_EQ(MustAttend(TestProblem(ProblemRecipe{})).report.implementation, used);
}

}  // namespace
}  // namespace attention::test
