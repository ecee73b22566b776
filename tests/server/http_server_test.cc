#include "server/http_server.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/http_exchange.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using test::ExchangeBytes;
using test::HttpGet;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class HttpServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = HttpServer::Start("127.0.0.1:0", {.metrics = [] { return "a_total 1\n"; },
                                                    .alive = [this] { return alive_.load(); },
                                                    .ready = [this] { return ready_.load(); }});
    ASSERT_THAT(server, test::IsOk());
    server_ = *std::move(server);
  }

  std::string Get(const std::string& path, const std::string& method = "GET") {
    return HttpGet(server_->address(), path, method);
  }

  std::atomic<bool> alive_ = true;
  std::atomic<bool> ready_ = true;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, TellsThePortItTook) {
  EXPECT_THAT(server_->address(), testing::MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]*"));
}

TEST_F(HttpServerTest, ServesMetricsAsText) {
  const std::string answer = Get("/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\na_total 1\n"));
}

TEST_F(HttpServerTest, IsAliveAndReadyWhenToldSo) {
  EXPECT_THAT(Get("/readyz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Get("/livez"), StartsWith("HTTP/1.1 200 "));
  ready_ = false;
  EXPECT_THAT(Get("/readyz"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(Get("/livez"), StartsWith("HTTP/1.1 200 "));
  alive_ = false;
  EXPECT_THAT(Get("/livez"), StartsWith("HTTP/1.1 503 "));
}

TEST_F(HttpServerTest, AnswersHeadWithoutAText) {
  const std::string answer = Get("/metrics", "HEAD");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 10\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, HasNoOtherPages) {
  for (const char* path : {"/", "/metrics/", "/metrics/x", "/livez2", "/../../etc/passwd",
                           "/%2e%2e/", "/readyz/../x"}) {
    const std::string answer = Get(path);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 ")) << path;
    EXPECT_THAT(answer, Not(HasSubstr("root:"))) << path;
  }
}

TEST_F(HttpServerTest, KnowsNoOtherMethods) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH"}) {
    EXPECT_THAT(Get("/metrics", method), testing::MatchesRegex("HTTP/1.1 40[45] (.|\r|\n)*"))
        << method;
  }
}

TEST_F(HttpServerTest, CutsASlowClientOff) {
  const auto begin = std::chrono::steady_clock::now();
  (void)ExchangeBytes(server_->address(), "GET /metrics HTTP/1.1\r\nX-Slow: ");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_THAT(Get("/livez"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, AnswersProbesBesideSlowClients) {
  std::vector<std::jthread> slow;
  for (int client = 0; client < 30; ++client) {
    slow.emplace_back(
        [this] { (void)ExchangeBytes(server_->address(), "GET /metrics HTTP/1.1\r\nX-Slow: "); });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(Get("/livez"), StartsWith("HTTP/1.1 200 "));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(900));
}

TEST_F(HttpServerTest, SaysThatAnAddressIsTaken) {
  const auto second = HttpServer::Start(server_->address(), {});
  EXPECT_THAT(second, test::StatusIs(absl::StatusCode::kUnavailable,
                                     HasSubstr("cannot listen on " + server_->address())));
}

TEST(HttpServerStartTest, ListensOnBothFamiliesOfAWildcard) {
  for (const char* address : {"0.0.0.0:0", "[::]:0"}) {
    const auto server = HttpServer::Start(address, {.metrics = [] { return "a_total 1\n"; },
                                                    .alive = [] { return true; },
                                                    .ready = [] { return true; }});
    ASSERT_THAT(server, test::IsOk());
    const std::string listening = (*server)->address();
    const std::string port = listening.substr(listening.rfind(':'));
    EXPECT_THAT(HttpGet("127.0.0.1" + port, "/readyz"), StartsWith("HTTP/1.1 200 ")) << address;
    if (std::ifstream("/proc/net/if_inet6").peek() == EOF)
      GTEST_SKIP() << "this machine has no IPv6";
    EXPECT_THAT(HttpGet("[::1]" + port, "/readyz"), StartsWith("HTTP/1.1 200 ")) << address;
  }
}

TEST(HttpServerStartTest, RefusesWhatIsNoAddress) {
  EXPECT_THAT(HttpServer::Start("nowhere", {}), test::HasCode(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace attention::server
