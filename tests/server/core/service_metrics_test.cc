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
  EXPECT_EQ(Name(Method::kApplyRotaryEmbedding), "ApplyRotaryEmbedding");
  EXPECT_EQ(Name(Method::kMergeAttentionStates), "MergeAttentionStates");
}

TEST(ServiceMetricsTest, GivesEveryMethodANameOfItsOwn) {
  std::set<std::string_view> names = {"unknown"};
  for (int i = 0; i < kMethodCount; ++i) names.insert(Name(static_cast<Method>(i)));
  EXPECT_EQ(names.size(), static_cast<size_t>(kMethodCount) + 1);
  EXPECT_EQ(Name(static_cast<Method>(kMethodCount)), "unknown");
}

TEST(ServiceMetricsTest, GivesEveryRejectionALabelOfItsOwn) {
  std::set<std::string_view> names = {"unknown"};
  for (int i = 0; i < kRejectionCount; ++i) {
    const std::string_view name = Name(static_cast<Rejection>(i));
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos)
        << name;
    names.insert(name);
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(kRejectionCount) + 1);
  EXPECT_EQ(Name(static_cast<Rejection>(kRejectionCount)), "unknown");
}

}  // namespace
}  // namespace attention::server
