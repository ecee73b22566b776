#include "tests/emulation/tile_instruction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <utility>
#include <vector>

namespace attention::emulation {
namespace {

using Kind = TileInstruction::Kind;
using ::testing::AnyOf;

// Numbers of registers in GeneralRegisters.
constexpr size_t kRcx = 1;
constexpr size_t kRsp = 4;
constexpr size_t kRbp = 5;
constexpr size_t kRsi = 6;
constexpr size_t kRdi = 7;
constexpr size_t kR9 = 9;
constexpr size_t kR12 = 12;
constexpr size_t kR13 = 13;

uint64_t AddressOf(const TileInstruction& instruction) {
  return reinterpret_cast<uintptr_t>(instruction.address);
}

class ReadTileInstructionTest : public testing::Test {
 protected:
  std::optional<TileInstruction> Read(std::vector<uint8_t> code) {
    code_ = std::move(code);
    return ReadTileInstruction(code_.data(), registers_);
  }

  std::vector<uint8_t> code_;
  GeneralRegisters registers_ = {};
};

// The bytes are those of GNU as.
TEST_F(ReadTileInstructionTest, FindsRowsBesideABaseWithAStride) {
  registers_[kRdi] = 0x10000;
  registers_[kRsi] = 0x40;
  const auto load = Read({0xc4, 0xe2, 0x7b, 0x4b, 0x24, 0x37});  // tileloadd (%rdi,%rsi), %tmm4
  ASSERT_TRUE(load.has_value());
  EXPECT_EQ(load->kind, Kind::kLoad);
  EXPECT_EQ(load->tile, 4);
  EXPECT_EQ(AddressOf(*load), 0x10000);
  EXPECT_EQ(load->stride_bytes, 0x40);
  EXPECT_EQ(load->length_bytes, 6);
}

TEST_F(ReadTileInstructionTest, ScalesTheStride) {
  registers_[kRcx] = 0x10;
  registers_[kR12] = 0x20000;
  // tileloaddt1 0x80(%r12,%rcx,8), %tmm1
  const auto load = Read({0xc4, 0xc2, 0x79, 0x4b, 0x8c, 0xcc, 0x80, 0x00, 0x00, 0x00});
  ASSERT_TRUE(load.has_value());
  EXPECT_EQ(load->kind, Kind::kLoad);
  EXPECT_EQ(load->tile, 1);
  EXPECT_EQ(AddressOf(*load), 0x20080);
  EXPECT_EQ(load->stride_bytes, 0x80);
  EXPECT_EQ(load->length_bytes, 10);
}

TEST_F(ReadTileInstructionTest, ReadsNegativeDisplacementsAndHighRegisters) {
  registers_[kR9] = static_cast<uint64_t>(-256);
  registers_[kR13] = 0x30000;
  // tilestored %tmm7, -0x10(%r13,%r9,1)
  const auto store = Read({0xc4, 0x82, 0x7a, 0x4b, 0x7c, 0x0d, 0xf0});
  ASSERT_TRUE(store.has_value());
  EXPECT_EQ(store->kind, Kind::kStore);
  EXPECT_EQ(store->tile, 7);
  EXPECT_EQ(AddressOf(*store), 0x2fff0);
  EXPECT_EQ(store->stride_bytes, -256);
  EXPECT_EQ(store->length_bytes, 7);
}

TEST_F(ReadTileInstructionTest, KnowsAnAddressWithoutBase) {
  registers_[kRsi] = 0x40;
  // tileloadd 0x1000(,%rsi,2), %tmm0
  const auto load = Read({0xc4, 0xe2, 0x7b, 0x4b, 0x04, 0x75, 0x00, 0x10, 0x00, 0x00});
  ASSERT_TRUE(load.has_value());
  EXPECT_EQ(AddressOf(*load), 0x1000);
  EXPECT_EQ(load->stride_bytes, 0x80);
  EXPECT_EQ(load->length_bytes, 10);
}

TEST_F(ReadTileInstructionTest, TakesAnIndexForAPartOfTheAddressOfAConfiguration) {
  registers_[kRsi] = 0x40;
  registers_[kRdi] = 0x1000;
  const auto load = Read({0xc4, 0xe2, 0x78, 0x49, 0x04, 0x37});  // ldtilecfg (%rdi,%rsi)
  ASSERT_TRUE(load.has_value());
  EXPECT_EQ(load->kind, Kind::kConfigure);
  EXPECT_EQ(AddressOf(*load), 0x1040);
  EXPECT_EQ(load->length_bytes, 6);
}

TEST_F(ReadTileInstructionTest, FindsAConfigurationBesideTheNextInstruction) {
  // ldtilecfg 0x100(%rip)
  const auto load = Read({0xc4, 0xe2, 0x78, 0x49, 0x05, 0x00, 0x01, 0x00, 0x00});
  ASSERT_TRUE(load.has_value());
  EXPECT_EQ(load->length_bytes, 9);
  EXPECT_EQ(AddressOf(*load), reinterpret_cast<uintptr_t>(code_.data()) + 9 + 0x100);
}

TEST_F(ReadTileInstructionTest, FindsAConfigurationOnTheStackAndInAFrame) {
  registers_[kRsp] = 0x5000;
  registers_[kRbp] = 0x6000;
  const auto store = Read({0xc4, 0xe2, 0x79, 0x49, 0x04, 0x24});  // sttilecfg (%rsp)
  ASSERT_TRUE(store.has_value());
  EXPECT_EQ(store->kind, Kind::kStoreConfiguration);
  EXPECT_EQ(AddressOf(*store), 0x5000);
  EXPECT_EQ(store->length_bytes, 6);
  const auto framed = Read({0xc4, 0xe2, 0x79, 0x49, 0x45, 0xc0});  // sttilecfg -0x40(%rbp)
  ASSERT_TRUE(framed.has_value());
  EXPECT_EQ(AddressOf(*framed), 0x5fc0);
  EXPECT_EQ(framed->length_bytes, 6);
}

TEST_F(ReadTileInstructionTest, NamesTheOperandsOfAProduct) {
  // tdpbf16ps %tmm6, %tmm4, %tmm2: sums 2, rows 4, columns 6
  const auto product = Read({0xc4, 0xe2, 0x4a, 0x5c, 0xd4});
  ASSERT_TRUE(product.has_value());
  EXPECT_EQ(product->kind, Kind::kMultiplyBF16);
  EXPECT_EQ(product->tile, 2);
  EXPECT_EQ(product->rows, 4);
  EXPECT_EQ(product->columns, 6);
  EXPECT_EQ(product->length_bytes, 5);
}

TEST_F(ReadTileInstructionTest, KnowsZeroingAndReleasing) {
  const auto zero = Read({0xc4, 0xe2, 0x7b, 0x49, 0xd8});  // tilezero %tmm3
  ASSERT_TRUE(zero.has_value());
  EXPECT_EQ(zero->kind, Kind::kZero);
  EXPECT_EQ(zero->tile, 3);
  const auto release = Read({0xc4, 0xe2, 0x78, 0x49, 0xc0});  // tilerelease
  ASSERT_TRUE(release.has_value());
  EXPECT_EQ(release->kind, Kind::kRelease);
}

TEST_F(ReadTileInstructionTest, LeavesOtherInstructionsAlone) {
  EXPECT_FALSE(Read({0x0f, 0x0b}).has_value());                          // ud2
  EXPECT_FALSE(Read({0xc4, 0xe2, 0x4b, 0x5e, 0xd4}).has_value());        // tdpbssd: bytes
  EXPECT_FALSE(Read({0xc4, 0xe2, 0xfb, 0x4b, 0x24, 0x37}).has_value());  // 64 bits wide
  EXPECT_FALSE(Read({0xc4, 0xe2, 0x7d, 0x58, 0xc0}).has_value());        // vpbroadcastd
}

TEST_F(ReadTileInstructionTest, LeavesInvalidInstructionsAlone) {
  EXPECT_FALSE(Read({0xc4, 0xe2, 0x7b, 0x4b, 0x20}).has_value());        // a load without a stride
  EXPECT_FALSE(Read({0xc4, 0xe2, 0x73, 0x4b, 0x24, 0x37}).has_value());  // with a third operand
  EXPECT_FALSE(Read({0xc4, 0x62, 0x7b, 0x4b, 0x24, 0x37}).has_value());  // of register 12
  EXPECT_FALSE(Read({0xc4, 0xe2, 0x78, 0x49, 0xc1}).has_value());        // nothing to release
  EXPECT_FALSE(Read({0xc4, 0xe2, 0x7b, 0x49, 0xd9}).has_value());        // two registers to zero
  EXPECT_FALSE(Read({0xc4, 0xe2, 0x0a, 0x5c, 0xd4}).has_value());  // a product with register 14
}

class TileRegistersTest : public testing::Test {
 protected:
  using Configuration = std::array<uint8_t, TileRegisters::kConfigurationBytes>;

  static Configuration Of(uint8_t palette, uint8_t row_count, uint8_t row_bytes) {
    Configuration configuration = {};
    configuration[0] = palette;
    for (size_t tile = 0; tile < TileRegisters::kCount; ++tile) {
      configuration[16 + 2 * tile] = row_bytes;
      configuration[48 + tile] = row_count;
    }
    return configuration;
  }

  bool Configure(const Configuration& configuration) {
    return tiles_.Configure(reinterpret_cast<const std::byte*>(configuration.data()));
  }

  TileRegisters tiles_;
};

TEST_F(TileRegistersTest, RefuseWhatAProcessorRefuses) {
  EXPECT_FALSE(Configure(Of(2, 16, 64)));
  EXPECT_FALSE(Configure(Of(1, 17, 64)));
  EXPECT_FALSE(Configure(Of(1, 16, 65)));
  EXPECT_FALSE(Configure(Of(1, 0, 64)));
  for (const size_t reserved : {1, 2, 15, 32, 47, 56, 63}) {
    Configuration configuration = Of(1, 16, 64);
    configuration[reserved] = 1;
    EXPECT_FALSE(Configure(configuration)) << "byte " << reserved;
  }
  std::array<std::byte, TileRegisters::kMostRowBytes> row = {};
  EXPECT_FALSE(tiles_.Load(0, row.data(), 0));
  EXPECT_FALSE(tiles_.Store(0, row.data(), 0));
  EXPECT_FALSE(tiles_.Zero(0));
  EXPECT_FALSE(tiles_.MultiplyBF16(0, 1, 2));
}

TEST_F(TileRegistersTest, RefuseProductsWhoseShapesDoNotFit) {
  Configuration configuration = Of(1, 16, 64);
  configuration[48 + 2] = 15;  // rows of `columns`
  configuration[48 + 4] = 15;  // rows of `rows`
  configuration[16 + 2 * 6] = 60;
  ASSERT_TRUE(Configure(configuration));
  EXPECT_FALSE(tiles_.MultiplyBF16(0, 1, 2));
  EXPECT_FALSE(tiles_.MultiplyBF16(0, 4, 3));
  EXPECT_FALSE(tiles_.MultiplyBF16(0, 6, 3));
  EXPECT_FALSE(tiles_.MultiplyBF16(0, 1, 6));
  EXPECT_FALSE(tiles_.MultiplyBF16(0, 0, 3));
  EXPECT_FALSE(tiles_.MultiplyBF16(0, 3, 0));
  EXPECT_FALSE(tiles_.MultiplyBF16(0, 3, 3));
  if (!__builtin_cpu_supports("avx512f")) GTEST_SKIP() << "products need AVX-512";
  EXPECT_TRUE(tiles_.MultiplyBF16(0, 1, 3));
}

}  // namespace
}  // namespace attention::emulation
