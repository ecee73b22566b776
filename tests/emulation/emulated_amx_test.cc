// The instructions of AMX for BF16 as this process has them: the processor's own, or emulated. The
// same expectations hold for both.

#include <gtest/gtest.h>
#include <immintrin.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <random>
#include <string_view>
#include <thread>

#include "kernels/implementation.h"

namespace attention::emulation {
namespace {

constexpr int kMostRows = 16;
constexpr int kMostPairs = 16;
constexpr int kMostColumns = 16;

// A product of row_count x 2 pair_count by 2 pair_count x column_count numbers.
struct Shape {
  int row_count = kMostRows;
  int pair_count = kMostPairs;
  int column_count = kMostColumns;
};

struct Operands {
  std::array<std::array<uint16_t, 2 * kMostPairs>, kMostRows> rows = {};
  std::array<std::array<uint16_t, 2 * kMostColumns>, kMostPairs> columns = {};
  std::array<std::array<float, kMostColumns>, kMostRows> sums = {};
};

struct alignas(64) Configuration {
  explicit Configuration(Shape shape) {
    Set(0, shape.row_count, shape.column_count);
    Set(1, shape.row_count, shape.pair_count);
    Set(2, shape.pair_count, shape.column_count);
  }
  void Set(size_t tile, int rows, int pairs) {
    bytes[16 + 2 * tile] = static_cast<uint8_t>(4 * pairs);
    bytes[48 + tile] = static_cast<uint8_t>(rows);
  }
  std::array<uint8_t, 64> bytes = {1};  // the palette
};

uint16_t BF16(float number) { return static_cast<uint16_t>(std::bit_cast<uint32_t>(number) >> 16); }

float Widened(uint16_t bf16) { return std::bit_cast<float>(uint32_t{bf16} << 16); }

__attribute__((target("amx-tile"))) void Configure(const Configuration& configuration) {
  _tile_loadconfig(configuration.bytes.data());
}

__attribute__((target("amx-tile"))) void Release() { _tile_release(); }

__attribute__((target("amx-tile,amx-bf16"))) void MultiplyConfigured(Operands& operands) {
  _tile_loadd(0, operands.sums.data(), sizeof(operands.sums[0]));
  _tile_loadd(1, operands.rows.data(), sizeof(operands.rows[0]));
  _tile_stream_loadd(2, operands.columns.data(), sizeof(operands.columns[0]));
  _tile_dpbf16ps(0, 1, 2);
  _tile_stored(0, operands.sums.data(), sizeof(operands.sums[0]));
}

void Multiply(Shape shape, Operands& operands) {
  Configure(Configuration(shape));
  MultiplyConfigured(operands);
  Release();
}

double Expected(const Operands& before, int pair_count, int row, int column) {
  double sum = before.sums[row][column];
  for (int k = 0; k < 2 * pair_count; ++k) {
    sum +=
        double{Widened(before.rows[row][k])} * Widened(before.columns[k / 2][2 * column + k % 2]);
  }
  return sum;
}

class AmxTest : public testing::Test {
 protected:
  void SetUp() override {
    const bool amx = kernels::InstructionSet() == "avx512_amx";
    const char* preloaded = std::getenv("LD_PRELOAD");
    const bool emulated = preloaded != nullptr && std::string_view(preloaded).find(
                                                      "emulated_amx") != std::string_view::npos;
    if (emulated && __builtin_cpu_supports("avx512bf16") && !__builtin_cpu_supports("amx-tile")) {
      ASSERT_TRUE(amx) << "though preloaded: " << preloaded;
    }
    if (!amx) GTEST_SKIP() << "neither AMX nor what its emulation needs";
  }

  // Of whole numbers, sums of whose products f32 holds exactly.
  Operands WholeNumbers() {
    Operands operands;
    std::uniform_int_distribution<int> number(-100, 100);
    for (auto& row : operands.rows) {
      for (uint16_t& element : row) element = BF16(static_cast<float>(number(random_)));
    }
    for (auto& row : operands.columns) {
      for (uint16_t& element : row) element = BF16(static_cast<float>(number(random_)));
    }
    for (auto& row : operands.sums) {
      for (float& sum : row) sum = static_cast<float>(number(random_));
    }
    return operands;
  }

  std::mt19937 random_{20261126};
};

TEST_F(AmxTest, MultipliesTilesOfEveryShape) {
  for (int row_count = 1; row_count <= kMostRows; ++row_count) {
    for (int pair_count = 1; pair_count <= kMostPairs; ++pair_count) {
      const Shape shape = {row_count, pair_count, 1 + (5 * row_count + pair_count) % kMostColumns};
      const Operands before = WholeNumbers();
      Operands after = before;
      Multiply(shape, after);
      for (int row = 0; row < kMostRows; ++row) {
        for (int column = 0; column < kMostColumns; ++column) {
          const bool inside = row < row_count && column < shape.column_count;
          ASSERT_EQ(after.sums[row][column], inside ? Expected(before, pair_count, row, column)
                                                    : double{before.sums[row][column]})
              << row_count << " rows, " << pair_count << " pairs, " << shape.column_count
              << " columns; row " << row << ", column " << column;
        }
      }
    }
  }
}

TEST_F(AmxTest, AddsUpInF32) {
  std::normal_distribution<float> number;
  Operands operands;
  for (auto& row : operands.rows) {
    for (uint16_t& element : row) element = BF16(number(random_));
  }
  for (auto& row : operands.columns) {
    for (uint16_t& element : row) element = BF16(number(random_));
  }
  const Operands before = operands;
  Multiply({}, operands);
  for (int row = 0; row < kMostRows; ++row) {
    for (int column = 0; column < kMostColumns; ++column) {
      double magnitude = 0;
      for (int k = 0; k < 2 * kMostPairs; ++k) {
        magnitude += std::abs(double{Widened(before.rows[row][k])} *
                              Widened(before.columns[k / 2][2 * column + k % 2]));
      }
      EXPECT_NEAR(operands.sums[row][column], Expected(before, kMostPairs, row, column),
                  kMostPairs * std::numeric_limits<float>::epsilon() * magnitude);
    }
  }
}

TEST_F(AmxTest, TakesDenormalsForZero) {
  constexpr float kDenormal = 1e-39F;
  Operands operands;
  operands.rows[0][0] = BF16(kDenormal);
  operands.columns[0][0] = BF16(1e30F);
  operands.rows[1][0] = BF16(1e-20F);
  operands.columns[0][2] = BF16(1e-20F);
  operands.sums[2][0] = kDenormal;
  Multiply({}, operands);
  EXPECT_EQ(operands.sums[0][0], 0) << "an operand";
  EXPECT_EQ(operands.sums[1][1], 0) << "a product";
  EXPECT_EQ(operands.sums[2][0], 0) << "a sum before";
}

TEST_F(AmxTest, KeepsInfinityAndNanInTheirRows) {
  Operands operands = WholeNumbers();
  operands.columns[0][0] = BF16(1);
  operands.rows[0][0] = BF16(std::numeric_limits<float>::infinity());
  operands.rows[1][0] = BF16(std::numeric_limits<float>::quiet_NaN());
  Multiply({}, operands);
  EXPECT_EQ(operands.sums[0][0], std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(operands.sums[1][0]));
  EXPECT_TRUE(std::isfinite(operands.sums[2][0]));
}

TEST_F(AmxTest, GivesAConfigurationBackUntilItIsReleased) {
  const Configuration configuration({.row_count = 3, .pair_count = 5, .column_count = 7});
  struct alignas(64) Stored {
    __attribute__((target("amx-tile"))) void Read() { _tile_storeconfig(bytes.data()); }
    std::array<uint8_t, 64> bytes = {1};
  };
  Stored stored;
  Configure(configuration);
  stored.Read();
  EXPECT_EQ(stored.bytes, configuration.bytes);
  Release();
  stored.Read();
  EXPECT_EQ(stored.bytes, decltype(stored.bytes){});
}

TEST_F(AmxTest, GivesEachThreadRegistersOfItsOwn) {
  const Operands before = WholeNumbers();
  Operands here = before;
  Configure(Configuration(Shape{}));
  std::thread([&before] {
    Operands there = before;
    Multiply({.row_count = 1, .pair_count = 1, .column_count = 1}, there);
    EXPECT_EQ(there.sums[0][0], Expected(before, 1, 0, 0));
  }).join();
  MultiplyConfigured(here);
  Release();
  EXPECT_EQ(here.sums[15][15], Expected(before, kMostPairs, 15, 15));
}

}  // namespace
}  // namespace attention::emulation
