// The C++ client library and a server that ends and comes back. The server is a process of its own:
// one inside the test would wait for the network on the client's behalf.

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "client/attention_client.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"

namespace attention::client {
namespace {

using ::attention::testing::ServerProcess;

// What a call says right after the server is back.
absl::Status CallAfterOutage(std::chrono::seconds least_outage) {
  auto server = std::make_unique<ServerProcess>();
  const std::string address = server->grpc_address();
  AttentionClient client(MakeChannel(address));
  EXPECT_TRUE(client.GetServerInfo().ok());
  server.reset();
  // The connection is refused, and so are those that the retries wait for.
  EXPECT_EQ(client.GetServerInfo().status().code(), absl::StatusCode::kUnavailable);
  std::this_thread::sleep_for(least_outage);
  const ServerProcess again({}, address);
  return client.GetServerInfo().status();
}

TEST(ClientRestartTest, ACallAfterARestartIsAnswered) {
  EXPECT_EQ(CallAfterOutage(std::chrono::seconds(0)), absl::OkStatus());
}

TEST(ClientRestartTest, ACallAfterALongOutageIsAnswered) {
  EXPECT_EQ(CallAfterOutage(std::chrono::seconds(5)), absl::OkStatus());
}

}  // namespace
}  // namespace attention::client
