// The tile registers of AMX of one thread, and what the instructions for BF16 do to them.
//
// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2: LDTILECFG,
// STTILECFG, TILELOADD, TILESTORED, TILEZERO, TILERELEASE, TDPBF16PS. What would be a fault of the
// processor is `false` here, and then nothing has changed; so is a row to start from, with which
// only interrupted instructions go on.

#ifndef ATTENTION_TESTS_EMULATION_TILE_REGISTERS_H_
#define ATTENTION_TESTS_EMULATION_TILE_REGISTERS_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace attention::emulation {

// Not thread safe; initialized by constants, so that a thread has one without code at its start.
class TileRegisters {
 public:
  static constexpr int kCount = 8;
  static constexpr int kMostRows = 16;
  static constexpr int kMostRowBytes = 64;
  static constexpr size_t kConfigurationBytes = 64;

  // Reads a configuration of palette 1, or releases the registers if it says palette 0. All
  // registers are zero then.
  [[nodiscard]] bool Configure(const std::byte* configuration);
  // Writes it as it was read; zeros if released.
  void StoreConfiguration(std::byte* configuration) const;
  void Release();

  // Row r of the register is at address + r * stride, which is in bytes.
  [[nodiscard]] bool Load(int tile, const std::byte* address, int64_t stride);
  [[nodiscard]] bool Store(int tile, std::byte* address, int64_t stride) const;
  [[nodiscard]] bool Zero(int tile);

  // sums += rows x columns: pairs of BF16 along the rows of `rows` and down `columns`, whose rows
  // hold one pair for each column; sums are f32. Of each row of sums, the products of even and of
  // odd places are added up apart, in order, each with one rounding, then to each other, then to
  // the sum. Denormals are zeros, in and out: the caller has set the processor to that.
  [[nodiscard]] bool MultiplyBF16(int sums, int rows, int columns);

 private:
  struct alignas(kMostRowBytes) Tile {
    std::array<std::array<std::byte, kMostRowBytes>, kMostRows> rows;
  };

  [[nodiscard]] int RowCount(int tile) const;
  [[nodiscard]] int RowBytes(int tile) const;
  [[nodiscard]] bool IsConfigured(int tile) const { return RowCount(tile) > 0; }

  std::array<std::byte, kConfigurationBytes> configuration_ = {};
  std::array<Tile, kCount> tiles_ = {};
};

}  // namespace attention::emulation

#endif  // ATTENTION_TESTS_EMULATION_TILE_REGISTERS_H_
