#include "kernels/fused/key_mass.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/thread_executor.h"

namespace attention::kernels {
namespace {

constexpr int64_t kQueries = 1000;
constexpr int64_t kKeys = 20;

class KeyMassTest : public testing::Test {
 protected:
  KeyMassTest() {
    problem_.query.extents = {1, 2, kQueries, 1};
    problem_.key.extents = {1, 2, kKeys, 1};
    outputs_.key_mass = DenseView(mass_.data(), DataType::kF32, {1, 2, 1, kKeys});
    key_mass_.Begin(problem_, outputs_);
  }

  AttentionProblem problem_;
  AttentionOutputs outputs_;
  std::vector<float> mass_ = std::vector<float>(2 * kKeys, -1.0f);
  KeyMass key_mass_;
};

TEST_F(KeyMassTest, TheOrderOfAdditionsChangesNoBit) {
  test::Random random(3);
  std::vector<std::vector<double>> rows(kQueries, std::vector<double>(kKeys));
  for (auto& row : rows) {
    for (double& weight : row) weight = std::pow(random.Uniform(), 8);
  }
  for (const auto& row : rows) key_mass_.Add(1, 0, kKeys, row.data());
  key_mass_.Write(outputs_);
  const std::vector<float> want = mass_;
  for (int64_t key = 0; key < kKeys; ++key) {
    double sum = 0;
    for (const auto& row : rows) sum += row[static_cast<size_t>(key)];
    EXPECT_FLOAT_EQ(want[static_cast<size_t>(kKeys + key)], static_cast<float>(sum));
    EXPECT_EQ(want[static_cast<size_t>(key)], 0.0f);
  }
  key_mass_.Begin(problem_, outputs_);
  test::ThreadExecutor executor(4);
  executor.Run(kQueries, [&](int64_t i) {
    key_mass_.Add(1, 0, kKeys, rows[static_cast<size_t>(kQueries - 1 - i)].data());
  });
  key_mass_.Write(outputs_);
  EXPECT_EQ(mass_, want);
}

TEST_F(KeyMassTest, AllQueriesTogetherDoNotOverflow) {
  const std::vector<double> ones(kKeys, 1.0);
  for (int64_t query = 0; query < kQueries; ++query) key_mass_.Add(0, 0, kKeys, ones.data());
  key_mass_.Write(outputs_);
  for (int64_t key = 0; key < kKeys; ++key) EXPECT_EQ(mass_[static_cast<size_t>(key)], 1000.0f);
}

TEST_F(KeyMassTest, ANanStaysWithItsKeyWhateverIsAddedToIt) {
  std::vector<double> sums(kKeys, 0.5);
  sums[3] = std::numeric_limits<double>::quiet_NaN();
  for (int repetition = 0; repetition < 3; ++repetition) key_mass_.Add(0, 0, kKeys, sums.data());
  sums[3] = 1.0;
  key_mass_.Add(0, 0, kKeys, sums.data());
  key_mass_.Write(outputs_);
  EXPECT_TRUE(std::isnan(mass_[3]));
  EXPECT_EQ(mass_[2], 2.0f);
  EXPECT_EQ(mass_[4], 2.0f);
}

}  // namespace
}  // namespace attention::kernels
