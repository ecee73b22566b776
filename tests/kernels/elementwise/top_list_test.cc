#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/elementwise/elementwise.h"

namespace attention::kernels {
namespace {

// In blocks of `block_count` keys.
std::vector<int32_t> KeysOfTop(const std::vector<float>& weights, int64_t capacity,
                               int64_t block_count) {
  std::vector<float> top(static_cast<size_t>(capacity));
  std::vector<int32_t> keys(static_cast<size_t>(capacity));
  TopList list = {.weights = top.data(), .keys = keys.data(), .capacity = capacity, .count = 0};
  const auto count = static_cast<int64_t>(weights.size());
  for (int64_t first = 0; first < count; first += block_count) {
    TakeIntoTop(weights.data() + first, std::min(block_count, count - first), first, list);
  }
  for (int64_t i = 0; i < list.count; ++i) {
    const auto place = static_cast<size_t>(i);
    EXPECT_EQ(top[place], weights[static_cast<size_t>(keys[place])]);
  }
  keys.resize(static_cast<size_t>(list.count));
  return keys;
}

std::vector<int32_t> SortedKeys(const std::vector<float>& weights, int64_t capacity) {
  std::vector<int32_t> keys(weights.size());
  std::iota(keys.begin(), keys.end(), 0);
  std::erase_if(keys, [&](int32_t key) { return !(weights[static_cast<size_t>(key)] > 0); });
  std::stable_sort(keys.begin(), keys.end(), [&](int32_t a, int32_t b) {
    return weights[static_cast<size_t>(a)] > weights[static_cast<size_t>(b)];
  });
  keys.resize(std::min(keys.size(), static_cast<size_t>(capacity)));
  return keys;
}

void ExpectSorted(const std::vector<float>& weights) {
  for (const int64_t capacity : {1, 2, 5, 16, 17, 64, 65, 256}) {
    for (const int64_t block_count : {1000, 256, 77, 5}) {
      EXPECT_EQ(KeysOfTop(weights, capacity, block_count), SortedKeys(weights, capacity))
          << capacity << " of blocks of " << block_count;
    }
  }
}

TEST(TopListTest, HoldsTheGreatestWeightsInOrder) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(0.0f, 1.0f);
  std::vector<float> weights(1000);
  for (float& weight : weights) weight = uniform(random);
  ExpectSorted(weights);
  std::sort(weights.begin(), weights.end());
  ExpectSorted(weights);
  std::reverse(weights.begin(), weights.end());
  ExpectSorted(weights);
}

TEST(TopListTest, OfEqualWeightsTheSmallerKeyComesFirst) {
  std::mt19937 random(2);
  std::vector<float> weights(1000);
  for (float& weight : weights) weight = static_cast<float>(random() % 7) * 0x1p-149f;
  ExpectSorted(weights);
  ExpectSorted(std::vector<float>(1000, 0.25f));
}

TEST(TopListTest, LeavesOutZerosAndNan) {
  std::vector<float> weights(1000, 0.0f);
  ExpectSorted(weights);
  for (size_t i = 0; i < weights.size(); i += 3) {
    weights[i] = std::numeric_limits<float>::quiet_NaN();
  }
  weights[500] = 0.5f;
  weights[999] = 0.5f;
  ExpectSorted(weights);
}

}  // namespace
}  // namespace attention::kernels
