#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/attn/application_fixture.h"

namespace attention::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using LayerCommandsTest = ApplicationFixture;

TEST_F(LayerCommandsTest, LayersAreListed) {
  EXPECT_EQ(Call({"layers"}), ExitCode::kOk);
  EXPECT_THAT(out_, AllOf(StartsWith("encoder.0  keras, bf16, heads 4 (2 of keys and values)"),
                          HasSubstr("queries 1 to 2, bias"), HasSubstr("\nother")));
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 2);
  EXPECT_EQ(Call({"layers", "--output", "json"}), ExitCode::kOk);
  const nlohmann::json list = nlohmann::json::parse(out_);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["key"]["output_width"], 4);
  EXPECT_EQ(list[1]["query"], nullptr);
}

TEST_F(LayerCommandsTest, OneLayerIsDescribed) {
  EXPECT_EQ(Call({"layers", "encoder.0"}), ExitCode::kOk);
  EXPECT_EQ(service_.last_request<v1::GetLayerRequest>().name(), "encoder.0");
  EXPECT_THAT(out_, AllOf(HasSubstr("name     encoder.0\n"), HasSubstr("value    5 to 6\n"),
                          HasSubstr("appends  one key and value\n"), HasSubstr("scale    0.5\n")));
  EXPECT_EQ(Call({"layers", "encoder.0", "--output", "json"}), ExitCode::kOk);
  EXPECT_EQ(nlohmann::json::parse(out_)["sinks"].size(), 4u);
}

TEST_F(LayerCommandsTest, ALayerIsNamedInPlaceOfProjections) {
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--layer", "encoder.0"}, "[[1,0],[0,1]]"),
            ExitCode::kOk);
  const auto request = service_.last_request<v1::SelfAttentionRequest>();
  EXPECT_EQ(request.layer(), "encoder.0");
  EXPECT_EQ(request.head_count(), 0);
  EXPECT_EQ(
      Call({"self", "--embeddings", "-", "--layer", "encoder.0", "--heads", "1"}, "[[1,0],[0,1]]"),
      ExitCode::kOk);
  EXPECT_EQ(service_.last_request<v1::SelfAttentionRequest>().head_count(), 1)
      << "for the server to hold against the layer's";
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--layer", "a", "--query-weight", "w.npy"}),
            ExitCode::kUsage);
  EXPECT_EQ(Call({"sdpa", "--query", "-", "--key", "-", "--value", "-", "--layer", "a"}),
            ExitCode::kUsage);
}

TEST_F(LayerCommandsTest, ALayerThatIsNotThereTellsWhoListsThem) {
  const grpc::Status refused(grpc::StatusCode::NOT_FOUND, "layer: got 'a'");
  service_.FailNext({{refused, {}}, {refused, {}}});
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--layer", "a"}, "[[1,0],[0,1]]"),
            ExitCode::kServer);
  EXPECT_EQ(err_, "attn: NOT_FOUND: layer: got 'a'; `attn layers` lists them\n");
  EXPECT_EQ(Call({"layers", "a"}), ExitCode::kServer);
  EXPECT_EQ(err_, "attn: NOT_FOUND: layer: got 'a'; `attn layers` lists them\n");
}

}  // namespace
}  // namespace attention::client
