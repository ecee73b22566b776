#include "server/layers/layer_store.h"

#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/layers/layer_files.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using test::IsOk;
using test::WriteLayer;

constexpr int64_t kMuch = int64_t{1} << 30;

TEST(LayerStoreTest, HasNoLayersWithoutADirectory) {
  LayerStore store("", kMuch);
  EXPECT_THAT(store.Load({}), IsOk());
  EXPECT_EQ(store.layer_count(), 0);
  EXPECT_EQ(store.used_bytes(), 0);
}

TEST(LayerStoreTest, OffersWhatTheDirectoryHoldsNow) {
  const test::TemporaryFolder folder;
  WriteLayer(folder, "a");
  LayerStore store(folder.path().string(), kMuch);
  ASSERT_THAT(store.Load({}), IsOk());
  EXPECT_EQ(store.layer_count(), 1);
  const int64_t one_layer = store.used_bytes();
  EXPECT_GT(one_layer, 0);
  WriteLayer(folder, "b");
  EXPECT_EQ(store.layer_count(), 1);
  ASSERT_THAT(store.Load({}), IsOk());
  EXPECT_EQ(store.layer_count(), 2);
  EXPECT_EQ(store.used_bytes(), 2 * one_layer);
}

TEST(LayerStoreTest, KeepsTheOldLayersWhereTheNewAreNotWhole) {
  const test::TemporaryFolder folder;
  WriteLayer(folder, "a");
  LayerStore store(folder.path().string(), kMuch);
  ASSERT_THAT(store.Load({}), IsOk());
  const std::shared_ptr<const LayerSet> old = store.registry().layers();
  const int64_t used = store.used_bytes();
  WriteLayer(folder, "b");
  folder.Write("c/layer.json", "{}");
  EXPECT_FALSE(store.Load({}).ok());
  EXPECT_EQ(store.registry().layers(), old);
  EXPECT_EQ(store.used_bytes(), used);
}

TEST(LayerStoreTest, LoadsWhateverRequestsHadPackedBefore) {
  const test::TemporaryFolder folder;
  WriteLayer(folder, "a");
  LayerStore other(folder.path().string(), kMuch);
  ASSERT_THAT(other.Load({}), IsOk());
  const int64_t one_layer = other.used_bytes();
  const int64_t packed_bytes = Layer::PackedBytes(other.registry().layers()->at("a")->contents(),
                                                  kernels::Precision::kBF16X6);
  LayerStore store(folder.path().string(), 2 * one_layer + packed_bytes - 1);
  ASSERT_THAT(store.Load({}), IsOk());
  const auto pack = [&store] {
    return store.registry().layers()->at("a")->Packed(kernels::Precision::kBF16X6);
  };
  EXPECT_NE(pack(), nullptr);
  ASSERT_THAT(store.Load({}), IsOk());
  EXPECT_EQ(store.used_bytes(), one_layer);
  folder.Write("b/layer.json", "{}");
  EXPECT_FALSE(store.Load({}).ok());
  EXPECT_NE(pack(), nullptr) << "the layers that stay are packed as before";
}

TEST(LayerStoreTest, KeepsALayerAsLongAsARequestUsesIt) {
  const test::TemporaryFolder folder;
  WriteLayer(folder, "a");
  LayerStore store(folder.path().string(), kMuch);
  ASSERT_THAT(store.Load({}), IsOk());
  const int64_t one_layer = store.used_bytes();
  std::shared_ptr<const Layer> used = store.registry().layers()->at("a");
  ASSERT_THAT(store.Load({}), IsOk());
  EXPECT_NE(store.registry().layers()->at("a"), used);
  EXPECT_EQ(store.used_bytes(), 2 * one_layer);
  used.reset();
  EXPECT_EQ(store.used_bytes(), one_layer);
}

}  // namespace
}  // namespace attention::server
