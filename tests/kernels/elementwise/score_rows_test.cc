#include "kernels/elementwise/score_rows.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace attention::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// From tiny arguments over the two ranges of the approximation to far beyond what f32 tells from 1.
std::vector<float> Arguments() {
  std::vector<float> arguments = {0.0f, 0.5f, std::nextafter(0.5f, 1.0f), 8.7f, 1e30f};
  for (float magnitude = 1e-30f; magnitude < 20; magnitude *= 1.00371f) {
    arguments.push_back(magnitude);
  }
  const size_t count = arguments.size();
  for (size_t i = 0; i < count; ++i) arguments.push_back(-arguments[i]);
  return arguments;
}

TEST(TransformScoresTest, TheTanhHasASmallRelativeErrorEverywhere) {
  const std::vector<float> arguments = Arguments();
  std::vector<float> results = arguments;
  TransformScores({.multiplier = 1, .softcap = 1}, static_cast<int64_t>(results.size()),
                  results.data());
  double largest_error = 0;
  for (size_t i = 0; i < results.size(); ++i) {
    const double want = std::tanh(static_cast<double>(arguments[i]));
    if (want == 0) {
      EXPECT_EQ(results[i], 0.0f);
      continue;
    }
    largest_error = std::max(largest_error, std::abs(static_cast<double>(results[i]) / want - 1));
    ASSERT_LE(std::abs(results[i]), 1.0f + 0x1p-22f) << arguments[i];
  }
  EXPECT_LE(largest_error, 4e-7);
}

TEST(TransformScoresTest, InfiniteScoresAreCappedAndNanStays) {
  float scores[] = {kInfinity, -kInfinity, kNan, 1.0f};
  TransformScores({.multiplier = 0.1f, .softcap = 5}, 4, scores);
  EXPECT_EQ(scores[0], 5.0f);
  EXPECT_EQ(scores[1], -5.0f);
  EXPECT_TRUE(std::isnan(scores[2]));
}

// A neighbour beyond 0.5 makes the vector take another way.
TEST(TransformScoresTest, NeighboursDoNotChangeTheBitsOfASoftcap) {
  for (const float neighbour : {0.6f, 100.0f, kInfinity, kNan}) {
    std::vector<float> alone(64, 0.3f);
    std::vector<float> beside = alone;
    for (size_t i = 0; i < beside.size(); i += 3) beside[i] = neighbour;
    TransformScores({.multiplier = 1, .softcap = 30}, 64, alone.data());
    TransformScores({.multiplier = 1, .softcap = 30}, 64, beside.data());
    for (size_t i = 1; i < beside.size(); i += 3) ASSERT_EQ(beside[i], alone[i]) << neighbour;
  }
}

TEST(TransformScoresTest, StepsComeInOrderForAnyCountAndAnyCombination) {
  for (const int64_t count : {1, 7, 16, 17, 40}) {
    for (unsigned parts = 0; parts < 16; ++parts) {
      std::vector<float> scores(static_cast<size_t>(count)), relative, additive;
      std::vector<uint8_t> visible;
      for (int64_t i = 0; i < count; ++i) {
        scores[static_cast<size_t>(i)] = 0.25f * static_cast<float>(i) - 3;
        relative.push_back(static_cast<float>(i % 5));
        additive.push_back(i % 3 == 1 ? -kInfinity : 0.5f);
        visible.push_back(i % 4 == 2 ? 0 : 1);
      }
      const std::vector<float> before = scores;
      TransformScores({.multiplier = -0.5f,
                       .softcap = (parts & 1) != 0 ? 2.0f : 0.0f,
                       .relative_bias = (parts & 2) != 0 ? relative.data() : nullptr,
                       .additive = (parts & 4) != 0 ? additive.data() : nullptr,
                       .visible = (parts & 8) != 0 ? visible.data() : nullptr},
                      count, scores.data());
      for (size_t i = 0; i < scores.size(); ++i) {
        double want = -0.5 * static_cast<double>(before[i]);
        if ((parts & 1) != 0) want = 2 * std::tanh(want);
        if ((parts & 2) != 0) want += static_cast<double>(relative[i]);
        if ((parts & 4) != 0) want += static_cast<double>(additive[i]);
        if ((parts & 8) != 0 && visible[i] == 0) want = -static_cast<double>(kInfinity);
        if (std::isinf(want)) {
          ASSERT_EQ(scores[i], -kInfinity) << count << " " << parts << " " << i;
        } else {
          // Of a few numbers below 8, each rounded.
          ASSERT_NEAR(static_cast<double>(scores[i]), want, 8 * 4e-7)
              << count << " " << parts << " " << i;
        }
      }
    }
  }
}

TEST(TransformScoresTest, WhatIsHiddenIsMinusInfinityEvenIfItWasNan) {
  float scores[] = {kNan, kNan, 1.0f};
  const float additive[] = {-kInfinity, 0.0f, 0.0f};
  const uint8_t visible[] = {1, 0, 1};
  TransformScores({.additive = additive, .visible = visible}, 3, scores);
  EXPECT_EQ(scores[0], -kInfinity);
  EXPECT_EQ(scores[1], -kInfinity);
  EXPECT_EQ(scores[2], 1.0f);
}

TEST(CompareEqualTest, SaysWhichElementsAreEqual) {
  std::vector<int32_t> elements;
  for (int32_t i = 0; i < 37; ++i) elements.push_back(i % 3 - 1);
  std::vector<uint8_t> equal(elements.size(), 9);
  CompareEqual(elements.data(), -1, 37, equal.data());
  for (size_t i = 0; i < elements.size(); ++i) ASSERT_EQ(equal[i], elements[i] == -1 ? 1 : 0);
}

TEST(AnySeenTest, FindsTheOnlyElementThatNothingHides) {
  constexpr size_t kCount = 77;
  for (size_t seen = 0; seen <= kCount; ++seen) {
    std::vector<uint8_t> visible(kCount + 1, 0);
    std::vector<float> additive(kCount + 1, -kInfinity);
    visible[seen] = 1;
    additive[seen] = kNan;
    const bool within = seen < kCount;
    EXPECT_EQ(AnySeen(visible.data(), nullptr, kCount), within) << seen;
    EXPECT_EQ(AnySeen(nullptr, additive.data(), kCount), within) << seen;
    EXPECT_EQ(AnySeen(visible.data(), additive.data(), kCount), within) << seen;
    visible.assign(kCount + 1, 1);
    visible[seen] = 0;
    EXPECT_FALSE(AnySeen(visible.data(), additive.data(), kCount)) << seen;
  }
}

}  // namespace
}  // namespace attention::kernels
