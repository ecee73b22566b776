#include <algorithm>
#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/attn/application_fixture.h"

namespace attention::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using ServerCommandsTest = ApplicationFixture;

TEST_F(ServerCommandsTest, HealthFollowsTheServer) {
  EXPECT_EQ(Call({"health"}), ExitCode::kOk);
  EXPECT_EQ(out_, "SERVING\n");
  EXPECT_EQ(Call({"health", "--service", "attention.v1.AttentionService"}), ExitCode::kOk);
  EXPECT_EQ(Call({"health", "--service", "no.such.Service"}), ExitCode::kServer);
  EXPECT_THAT(err_, HasSubstr("NOT_FOUND"));
  service_.SetServing(false);
  EXPECT_EQ(Call({"health"}), ExitCode::kServer);
  EXPECT_EQ(out_, "NOT_SERVING\n");
  EXPECT_THAT(err_, HasSubstr("is NOT_SERVING"));
  EXPECT_EQ(Run({"health", "--help"}), ExitCode::kOk);
  EXPECT_THAT(out_, Not(HasSubstr("retries"))) << "it makes one attempt";
}

TEST_F(ServerCommandsTest, InfoAndVersionTellTheServers) {
  EXPECT_EQ(Call({"info"}), ExitCode::kOk);
  EXPECT_THAT(out_, HasSubstr("implementations    fused, reference\n"));
  EXPECT_THAT(out_, HasSubstr("default precision  bf16_x6\n"));
  EXPECT_EQ(Call({"info", "--output", "json"}), ExitCode::kOk);
  EXPECT_EQ(nlohmann::json::parse(out_)["queue_capacity"], 9);
  EXPECT_EQ(nlohmann::json::parse(out_)["default_precision"], "bf16_x6");
  EXPECT_EQ(Call({"version"}), ExitCode::kOk);
  EXPECT_THAT(out_, AllOf(StartsWith("attn "), HasSubstr("server 1.2.3\n")));
}

TEST_F(ServerCommandsTest, VersionAsksAServerThatIsNamed) {
  unsetenv("ATTN_SERVER");
  EXPECT_EQ(Run({"version"}), ExitCode::kOk);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1)
      << "no server is asked unless one is named";
  EXPECT_EQ(Run({"version", "--help"}), ExitCode::kOk);
  EXPECT_THAT(out_, HasSubstr("ATTN_SERVER"));
  EXPECT_THAT(out_, Not(HasSubstr("[127.0.0.1:8001]"))) << "it has no default";
  setenv("ATTN_SERVER", service_.address().c_str(), /*overwrite=*/1);
  EXPECT_EQ(Run({"version"}), ExitCode::kOk);
  EXPECT_THAT(out_, AllOf(StartsWith("attn "), HasSubstr("server 1.2.3\n")));
  unsetenv("ATTN_SERVER");
}

}  // namespace
}  // namespace attention::client
