#include "server/core/layer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/core/layer_fixture.h"

namespace attention::server {
namespace {

using test::TinyLayer;

constexpr int64_t kMuch = int64_t{1} << 40;

TEST(LayerTest, CountsItsContentsInTheBudgetAsLongAsItLives) {
  ByteBudget budget(kMuch);
  auto layer = Layer::Make(TinyLayer(), budget);
  ASSERT_NE(layer, nullptr);
  EXPECT_EQ(budget.used_bytes(), Layer::ContentBytes(layer->contents()));
  EXPECT_GT(budget.used_bytes(), 0);
  layer.reset();
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(LayerTest, IsNotMadeBeyondTheBudget) {
  ByteBudget budget(Layer::ContentBytes(TinyLayer()) - 1);
  EXPECT_EQ(Layer::Make(TinyLayer(), budget), nullptr);
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(LayerTest, PacksItsMapsOnceForEachPrecision) {
  ByteBudget budget(kMuch);
  const auto layer = Layer::Make(TinyLayer(), budget);
  const int64_t content_bytes = budget.used_bytes();
  const auto packed = layer->Packed(kernels::Precision::kF32);
  ASSERT_NE(packed, nullptr);
  EXPECT_NE(packed->query, nullptr);
  EXPECT_NE(packed->output, nullptr);
  const int64_t packed_bytes = Layer::PackedBytes(layer->contents(), kernels::Precision::kF32);
  EXPECT_EQ(budget.used_bytes(), content_bytes + packed_bytes);
  EXPECT_EQ(layer->Packed(kernels::Precision::kF32), packed);
  EXPECT_EQ(budget.used_bytes(), content_bytes + packed_bytes);
  EXPECT_NE(layer->Packed(kernels::Precision::kBF16X6), packed);
  EXPECT_GT(budget.used_bytes(), content_bytes + packed_bytes);
}

TEST(LayerTest, LeavesOutMapsThatItHasNot) {
  ByteBudget budget(kMuch);
  LayerContents contents = TinyLayer();
  contents.key.reset();
  const auto layer = Layer::Make(std::move(contents), budget);
  const auto packed = layer->Packed(kernels::Precision::kF32);
  ASSERT_NE(packed, nullptr);
  EXPECT_EQ(packed->key, nullptr);
  EXPECT_NE(packed->value, nullptr);
}

TEST(LayerTest, PacksNothingBeyondTheBudget) {
  ByteBudget budget(Layer::ContentBytes(TinyLayer()) + 1);
  const auto layer = Layer::Make(TinyLayer(), budget);
  ASSERT_NE(layer, nullptr);
  EXPECT_EQ(layer->Packed(kernels::Precision::kF32), nullptr);
  EXPECT_EQ(budget.used_bytes(), Layer::ContentBytes(layer->contents()));
}

TEST(LayerTest, PacksOnceTheBudgetHasRoom) {
  ByteBudget budget(kMuch);
  const auto layer = Layer::Make(TinyLayer(), budget);
  {
    const auto most_of_it = budget.TryAcquire(kMuch - budget.used_bytes() - 1);
    EXPECT_EQ(layer->Packed(kernels::Precision::kF32), nullptr);
  }
  EXPECT_NE(layer->Packed(kernels::Precision::kF32), nullptr);
}

TEST(LayerTest, GivesUpWhatIsPackedForOtherPrecisionsOnceNobodyUsesIt) {
  ByteBudget budget(kMuch);
  const auto layer = Layer::Make(TinyLayer(), budget);
  const auto kept = layer->Packed(kernels::Precision::kF32);
  const int64_t bytes = budget.used_bytes();
  auto used = layer->Packed(kernels::Precision::kBF16X6);
  ASSERT_NE(used, nullptr);
  layer->KeepOnlyPacked(kernels::Precision::kF32);
  EXPECT_GT(budget.used_bytes(), bytes);
  used.reset();
  EXPECT_EQ(budget.used_bytes(), bytes);
  EXPECT_EQ(layer->Packed(kernels::Precision::kF32), kept);
  EXPECT_EQ(layer->Packed(kernels::Precision::kBF16X6), nullptr);
  layer->PackAnyPrecision();
  EXPECT_NE(layer->Packed(kernels::Precision::kBF16X6), nullptr);
}

TEST(LayerTest, PacksOnceWhateverThePrecisionWhereTypesHaveOneOfTheirOwn) {
  ByteBudget budget(kMuch);
  LayerContents contents = TinyLayer();
  contents.type = kernels::DataType::kBF16;  // of which the same memory holds enough
  const auto layer = Layer::Make(std::move(contents), budget);
  EXPECT_EQ(layer->Packed(kernels::Precision::kF32), layer->Packed(kernels::Precision::kBF16X3));
}

TEST(LayerTest, GivesThreadsThatAskAtOnceTheSameMaps) {
  ByteBudget budget(kMuch);
  const auto layer = Layer::Make(TinyLayer(), budget);
  std::vector<std::shared_ptr<const PackedMaps>> got(4);
  {
    std::vector<std::jthread> threads;
    for (auto& each : got) {
      threads.emplace_back([&] { each = layer->Packed(kernels::Precision::kF32); });
    }
  }
  EXPECT_NE(got[0], nullptr);
  EXPECT_THAT(got, testing::Each(got[0]));
}

TEST(LayerRegistryTest, KeepsASetForThoseWhoBeganWithIt) {
  ByteBudget budget(kMuch);
  LayerRegistry registry;
  EXPECT_TRUE(registry.layers()->empty());
  registry.Replace(
      std::make_shared<const LayerSet>(LayerSet{{"a", Layer::Make(TinyLayer(), budget)}}));
  const std::shared_ptr<const LayerSet> begun = registry.layers();
  registry.Replace(std::make_shared<const LayerSet>());
  EXPECT_TRUE(registry.layers()->empty());
  EXPECT_EQ(begun->count("a"), 1u);
}

TEST(IsLayerNameTest, TakesLettersDigitsAndThreeSigns) {
  for (const std::string name : {"a", "Z9", "0", "bert.layer-0_attention", "a..b"}) {
    EXPECT_TRUE(IsLayerName(name)) << name;
  }
  EXPECT_TRUE(IsLayerName(std::string(128, 'x')));
}

TEST(IsLayerNameTest, RefusesPathsAndWhatOnlyLooksLikeAName) {
  for (const std::string name :
       {"", ".", "..", ".hidden", "-a", "_a", "a/b", "a\\b", "a b", "a\n", "%2e", "caf\xc3\xa9"}) {
    EXPECT_FALSE(IsLayerName(name)) << name;
  }
  EXPECT_FALSE(IsLayerName(std::string("a\0b", 3)));
  EXPECT_FALSE(IsLayerName(std::string(129, 'x')));
}

}  // namespace
}  // namespace attention::server
