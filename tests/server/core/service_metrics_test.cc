#include "server/core/service_metrics.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace attention::server {
namespace {

TEST(ServiceMetricsTest, NamesMethodsAsTheProtocolDoes) {
  EXPECT_EQ(Name(Method::kSelfAttention), "SelfAttention");
  EXPECT_EQ(Name(Method::kMaskedAttention), "MaskedAttention");
  EXPECT_EQ(Name(Method::kMultiHeadAttention), "MultiHeadAttention");
  EXPECT_EQ(Name(Method::kCrossAttention), "CrossAttention");
  EXPECT_EQ(Name(Method::kScaledDotProductAttention), "ScaledDotProductAttention");
  EXPECT_EQ(Name(Method::kDecodeAttention), "DecodeAttention");
  EXPECT_EQ(Name(Method::kApplyRotaryEmbedding), "ApplyRotaryEmbedding");
  EXPECT_EQ(Name(Method::kMergeAttentionStates), "MergeAttentionStates");
}

TEST(ServiceMetricsTest, GivesEveryMethodANameOfItsOwn) {
  std::set<std::string_view> names = {"unknown"};
  for (const Method method : kMethods) names.insert(Name(method));
  EXPECT_EQ(names.size(), kMethods.size() + 1);
  EXPECT_EQ(Name(static_cast<Method>(kMethods.size())), "unknown");
}

TEST(ServiceMetricsTest, GivesEveryRejectionALabelOfItsOwn) {
  std::set<std::string_view> names = {"unknown"};
  for (const Rejection rejection : kRejections) {
    const std::string_view name = Name(rejection);
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos)
        << name;
    names.insert(name);
  }
  EXPECT_EQ(names.size(), kRejections.size() + 1);
  EXPECT_EQ(Name(static_cast<Rejection>(kRejections.size())), "unknown");
}

}  // namespace
}  // namespace attention::server
