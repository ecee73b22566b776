#include "server/flag_table.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using testing::ElementsAre;

class FlagTableTest : public testing::Test {
 protected:
  FlagTableTest() : flags_(app_) {
    flags_.Add("--some-flag", "TEXT", "What it does.", "none", [this](const std::string& text) {
      if (text == "bad") return absl::InvalidArgumentError("got 'bad', want another");
      assigned_ = text;
      return absl::OkStatus();
    });
  }

  void Parse(const std::vector<std::string>& arguments) {
    app_.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  }

  CLI::App app_;
  FlagTable flags_;
  std::string assigned_ = "untouched";
};

TEST_F(FlagTableTest, PrefersTheFlagToItsVariable) {
  Parse({"--some-flag", "a"});
  EXPECT_THAT(flags_.Apply({"ATTENTION_SOME_FLAG=b"}), test::IsOk());
  EXPECT_EQ(assigned_, "a");
}

TEST_F(FlagTableTest, TakesTheVariableWhereTheFlagIsAbsent) {
  Parse({});
  EXPECT_THAT(flags_.Apply({"OTHER=x", "ATTENTION_SOME_FLAG=b"}), test::IsOk());
  EXPECT_EQ(assigned_, "b");
}

TEST_F(FlagTableTest, TakesAnEmptyVariableForNone) {
  Parse({});
  EXPECT_THAT(flags_.Apply({"ATTENTION_SOME_FLAG="}), test::IsOk());
  EXPECT_EQ(assigned_, "untouched");
}

TEST_F(FlagTableTest, SaysWhereABadValueCameFrom) {
  Parse({"--some-flag=bad"});
  EXPECT_THAT(flags_.Apply({}), test::StatusIs(absl::StatusCode::kInvalidArgument,
                                               "--some-flag: got 'bad', want another"));
  app_.clear();
  Parse({});
  EXPECT_THAT(flags_.Apply({"ATTENTION_SOME_FLAG=bad"}),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "ATTENTION_SOME_FLAG: got 'bad', want another"));
}

TEST_F(FlagTableTest, FindsVariablesThatAreNoFlags) {
  EXPECT_THAT(flags_.UnknownVariables(
                  {"ATTENTION_SOME_FLAG=a", "ATTENTION_SOME_FLAGS=b", "ATTENTION_ROOT=c", "X=d"}),
              ElementsAre("ATTENTION_SOME_FLAGS"));
}

}  // namespace
}  // namespace attention::server
