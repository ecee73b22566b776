#include "server/listen_address.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

TEST(ParseListenAddressTest, ReadsNumericAddresses) {
  for (const char* text : {"127.0.0.1:8001", "0.0.0.0:0", "[::1]:65535", "[::]:1"}) {
    const auto address = ParseListenAddress(text);
    ASSERT_THAT(address, test::IsOk());
    EXPECT_EQ(ToString(*address), text);
  }
}

TEST(IsWildcardTest, KnowsTheAddressesThatMeanAll) {
  for (const char* text : {"0.0.0.0:1", "[::]:1", "[0:0::0]:1"}) {
    EXPECT_TRUE(IsWildcard(*ParseListenAddress(text))) << text;
  }
  for (const char* text : {"127.0.0.1:1", "[::1]:1"}) {
    EXPECT_FALSE(IsWildcard(*ParseListenAddress(text))) << text;
  }
}

TEST(ParseListenAddressTest, RefusesEverythingElse) {
  for (const char* text : {"", ":", "8001", ":8001", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x",
                           "127.0.0.1:-1", "127.0.0.1:65536", "localhost:80", "::1:80", "[::1]",
                           "1.2.3:80", "[1.2.3.4]:80", "127.0.0.1:80,0.0.0.0:81"}) {
    EXPECT_THAT(ParseListenAddress(text),
                test::StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr(text)));
  }
}

}  // namespace
}  // namespace attention::server
