#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/attn/application_fixture.h"

namespace attention::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using ExampleCommandsTest = ApplicationFixture;

TEST_F(ExampleCommandsTest, ExamplesAreListed) {
  EXPECT_EQ(Run({"examples"}), ExitCode::kOk);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 16);
  EXPECT_THAT(out_, HasSubstr("friends           self        Four friends choose a motorcycle\n"));
}

constexpr const char* kCrossScores = R"(
    output { data_type: DATA_TYPE_F64 shape: [2, 2] floats: [1, 0, 0, 1] }
    weights { data_type: DATA_TYPE_F64 shape: [1, 2, 2] floats: [1, 0, 0, 1] }
    scores { data_type: DATA_TYPE_F64 shape: [1, 2, 2] floats: [1, 0, 0, 1] })";

TEST_F(ExampleCommandsTest, AMatchingExampleIsExplained) {
  AnswerWith(kCrossScores);
  EXPECT_EQ(Call({"example", "cross-scores"}), ExitCode::kOk) << err_;
  EXPECT_THAT(
      out_, AllOf(HasSubstr("cross-scores: Question words against answer words\n"),
                  HasSubstr("queries: 너는, 사과를\nkeys: 나는, 먹었다\n"),
                  HasSubstr("너는    strongest: 나는 1.00000000; top 3: "), HasSubstr("heat map\n"),
                  HasSubstr("matches: all 4 expected numbers and words, to within 1e-08\n")));
}

TEST_F(ExampleCommandsTest, ADifferingExampleIsExitCodeThreeWithThePlaceAndBothValues) {
  std::string wrong = kCrossScores;
  wrong.replace(wrong.rfind("0, 1]"), 5, "0, 2]");
  AnswerWith(wrong);
  EXPECT_EQ(Call({"example", "cross-scores"}), ExitCode::kExample);
  EXPECT_THAT(out_, HasSubstr("differs: scores[1][1]: expected 1, got 2\n"));
  EXPECT_EQ(err_,
            "attn: 1 of 1 examples differ by more than 1e-08, first cross-scores: scores[1][1]: "
            "expected 1, got 2\n");
}

TEST_F(ExampleCommandsTest, AnAnswerThatIsNoAnswerIsExitCodeOne) {
  EXPECT_EQ(Call({"example", "friends"}), ExitCode::kServer);
  EXPECT_THAT(err_, HasSubstr("friends: "));
  std::string narrow = kCrossScores;
  narrow.replace(narrow.find("[2, 2] floats: [1, 0, 0, 1]"), 27, "[1, 1] floats: [1]");
  AnswerWith(narrow);
  EXPECT_EQ(Call({"example", "cross-scores"}), ExitCode::kServer);
  EXPECT_THAT(err_, HasSubstr("output has shape [1, 1], want [2, width]"));
}

}  // namespace
}  // namespace attention::client
