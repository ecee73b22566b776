// A program of its own: its allocations can fail.

#include "server/attention_service.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/attention_server.h"
#include "server/json_log.h"
#include "tests/server/layers/layer_files.h"
#include "tests/support/allocations.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

TEST(AttentionServiceTest, HasNoAnswerWithoutMemoryButGoesOn) {
  if (!test::CountsAllocations()) GTEST_SKIP() << "sanitizers have allocators of their own";
  constexpr int kLayerCount = 250;
  constexpr size_t kLeastBytes = 32 << 10;  // less than the list of the layers, more than the rest
  const test::TemporaryFolder folder;
  for (int i = 0; i < kLayerCount; ++i)
    test::WriteLayer(folder, absl::StrCat(1000 + i) + std::string(120, 'x'));
  ServerOptions options;
  options.grpc_address = "127.0.0.1:0";
  options.http_address = "127.0.0.1:0";
  options.warm_up.shapes.clear();
  options.layers_directory = folder.path().string();
  JsonLog log(LogLevel::kError);
  const auto server = AttentionServer::Start(options, log);
  ASSERT_THAT(server, test::IsOk());
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // None of this machine's stands between.
  const auto stub = v1::AttentionService::NewStub(grpc::CreateCustomChannel(
      (*server)->grpc_address(), grpc::InsecureChannelCredentials(), arguments));
  const auto list = [&stub](v1::ListLayersResponse& response) {
    grpc::ClientContext context;
    return stub->ListLayers(&context, {}, &response).error_code();
  };
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(stub->GetServerInfo(&context, {}, &info).ok()) << "and everything is connected";
  v1::ListLayersResponse response;
  {
    const test::FailingAllocations failing(kLeastBytes, 0);
    EXPECT_EQ(list(response), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_TRUE(failing.any());
  }
  EXPECT_EQ(list(response), grpc::StatusCode::OK);
  EXPECT_EQ(response.layers_size(), kLayerCount);
}

}  // namespace
}  // namespace attention::server
