#include "tests/emulation/tile_registers.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>

namespace attention::emulation {
namespace {

// Where a configuration has what: palette, the row to start from, reserved bytes, bytes of a row of
// each tile in 16 bits, reserved, counts of rows in 8, reserved.
constexpr size_t kStartRowOffset = 1;
constexpr size_t kRowBytesOffset = 16;
constexpr size_t kRowBytesEnd = kRowBytesOffset + sizeof(uint16_t) * TileRegisters::kCount;
constexpr size_t kRowCountsOffset = 48;
constexpr size_t kRowCountsEnd = kRowCountsOffset + TileRegisters::kCount;

bool AreZero(const std::byte* bytes, size_t begin, size_t end) {
  return std::all_of(bytes + begin, bytes + end,
                     [](std::byte byte) { return byte == std::byte{}; });
}

int RowBytesIn(const std::byte* configuration, int tile) {
  uint16_t row_bytes = 0;
  std::memcpy(&row_bytes, configuration + kRowBytesOffset + sizeof(row_bytes) * tile,
              sizeof(row_bytes));
  return row_bytes;
}

int RowCountIn(const std::byte* configuration, int tile) {
  return std::to_integer<int>(configuration[kRowCountsOffset + tile]);
}

// Two sums of products and the sum before, for one row: `row` and each row of `columns` hold pairs.
__attribute__((target("avx512f"))) __m512 RowOfSums(__m512 before, const std::byte* row,
                                                    const std::byte* columns, int pair_count,
                                                    __mmask16 used_columns) {
  const __m512i odd_half = _mm512_set1_epi32(static_cast<int>(0xffff0000));
  __m512 even_sums = _mm512_setzero_ps();
  __m512 odd_sums = _mm512_setzero_ps();
  for (int pair = 0; pair < pair_count; ++pair) {
    int row_pair = 0;
    std::memcpy(&row_pair, row + sizeof(row_pair) * pair, sizeof(row_pair));
    const __m512i of_row = _mm512_set1_epi32(row_pair);
    const __m512i of_columns =
        _mm512_maskz_loadu_epi32(used_columns, columns + TileRegisters::kMostRowBytes * pair);
    even_sums = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(of_row, 16)),
                                _mm512_castsi512_ps(_mm512_slli_epi32(of_columns, 16)), even_sums);
    odd_sums =
        _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(of_row, odd_half)),
                        _mm512_castsi512_ps(_mm512_and_si512(of_columns, odd_half)), odd_sums);
  }
  return _mm512_add_ps(before, _mm512_add_ps(even_sums, odd_sums));
}

__attribute__((target("avx512f"))) void AddToRow(std::byte* sums, const std::byte* row,
                                                 const std::byte* columns, int pair_count,
                                                 int column_count) {
  const auto used = static_cast<__mmask16>((1U << column_count) - 1);
  const __m512 before = _mm512_maskz_loadu_ps(used, sums);
  _mm512_mask_storeu_ps(sums, used, RowOfSums(before, row, columns, pair_count, used));
}

}  // namespace

int TileRegisters::RowCount(int tile) const { return RowCountIn(configuration_.data(), tile); }

int TileRegisters::RowBytes(int tile) const { return RowBytesIn(configuration_.data(), tile); }

bool TileRegisters::Configure(const std::byte* configuration) {
  const int palette = std::to_integer<int>(configuration[0]);
  if (palette == 0) {
    Release();
    return true;
  }
  if (palette != 1 || !AreZero(configuration, kStartRowOffset, kRowBytesOffset) ||
      !AreZero(configuration, kRowBytesEnd, kRowCountsOffset) ||
      !AreZero(configuration, kRowCountsEnd, kConfigurationBytes)) {
    return false;
  }
  for (int tile = 0; tile < kCount; ++tile) {
    const int row_bytes = RowBytesIn(configuration, tile);
    const int row_count = RowCountIn(configuration, tile);
    if (row_bytes > kMostRowBytes || row_count > kMostRows) return false;
    if ((row_bytes == 0) != (row_count == 0)) return false;
  }
  std::memcpy(configuration_.data(), configuration, kConfigurationBytes);
  tiles_ = {};
  return true;
}

void TileRegisters::StoreConfiguration(std::byte* configuration) const {
  std::memcpy(configuration, configuration_.data(), kConfigurationBytes);
}

void TileRegisters::Release() {
  configuration_ = {};
  tiles_ = {};
}

bool TileRegisters::Load(int tile, const std::byte* address, int64_t stride) {
  if (!IsConfigured(tile)) return false;
  tiles_[tile] = {};
  for (int row = 0; row < RowCount(tile); ++row) {
    std::memcpy(tiles_[tile].rows[row].data(), address + row * stride, RowBytes(tile));
  }
  return true;
}

bool TileRegisters::Store(int tile, std::byte* address, int64_t stride) const {
  if (!IsConfigured(tile)) return false;
  for (int row = 0; row < RowCount(tile); ++row) {
    std::memcpy(address + row * stride, tiles_[tile].rows[row].data(), RowBytes(tile));
  }
  return true;
}

bool TileRegisters::Zero(int tile) {
  if (!IsConfigured(tile)) return false;
  tiles_[tile] = {};
  return true;
}

bool TileRegisters::MultiplyBF16(int sums, int rows, int columns) {
  if (sums == rows || sums == columns || rows == columns) return false;
  if (!IsConfigured(sums) || !IsConfigured(rows) || !IsConfigured(columns)) return false;
  constexpr int kPairBytes = 4;
  if (RowBytes(sums) % kPairBytes != 0 || RowBytes(rows) % kPairBytes != 0) return false;
  const int pair_count = RowBytes(rows) / kPairBytes;
  if (RowCount(columns) != pair_count || RowCount(rows) != RowCount(sums) ||
      RowBytes(columns) != RowBytes(sums)) {
    return false;
  }
  const std::byte* first_of_columns = tiles_[columns].rows[0].data();
  for (int row = 0; row < RowCount(sums); ++row) {
    AddToRow(tiles_[sums].rows[row].data(), tiles_[rows].rows[row].data(), first_of_columns,
             pair_count, RowBytes(sums) / kPairBytes);
  }
  return true;
}

}  // namespace attention::emulation
