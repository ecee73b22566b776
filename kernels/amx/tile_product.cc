#include "kernels/amx/tile_product.h"

#include <immintrin.h>

#include <array>

// The target belongs to the functions of this file alone, so that no shared inline function is
// compiled with it.
#define ATTENTION_AMX __attribute__((target("amx-tile,amx-bf16")))
#define ATTENTION_AMX_INLINE ATTENTION_AMX __attribute__((always_inline)) inline

namespace attention::kernels {
namespace {

constexpr int64_t kElementBytes = sizeof(uint16_t);

// Registers 0 to 3 hold the sums of up to two by two tiles, 4 and 5 those of rows, 6 and 7 those of
// the panel. The instructions take their numbers as literals.
template <int kRowTiles, int kColumnTiles>
struct Tiles {
  TileOperand rows;
  TileOperand panel;

  ATTENTION_AMX_INLINE void LoadRows(int64_t part) const {
    const uint16_t* first = rows.data + part * rows.part_stride;
    _tile_loadd(4, first, rows.row_stride * kElementBytes);
    if constexpr (kRowTiles == 2) {
      _tile_loadd(5, first + kTileRegisterRows * rows.row_stride, rows.row_stride * kElementBytes);
    }
  }

  ATTENTION_AMX_INLINE void LoadPanel(int64_t part) const {
    const uint16_t* first = panel.data + part * panel.part_stride;
    _tile_loadd(6, first, panel.row_stride * kElementBytes);
    if constexpr (kColumnTiles == 2) {
      _tile_loadd(7, first + 2 * kTileRegisterColumns, panel.row_stride * kElementBytes);
    }
  }

  ATTENTION_AMX_INLINE void MultiplyRegisters() const {
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kColumnTiles == 2) _tile_dpbf16ps(1, 4, 7);
    if constexpr (kRowTiles == 2) _tile_dpbf16ps(2, 5, 6);
    if constexpr (kRowTiles == 2 && kColumnTiles == 2) _tile_dpbf16ps(3, 5, 7);
  }

  // All products of a block, the smallest first where that costs no further load.
  template <int kProducts>
  ATTENTION_AMX_INLINE void MultiplyBlock() const {
    LoadRows(0);
    if constexpr (kProducts == 6) {
      LoadPanel(2);
      MultiplyRegisters();  // high low
    }
    if constexpr (kProducts != 1) {
      LoadPanel(1);
      MultiplyRegisters();  // high middle
      LoadRows(1);
    }
    if constexpr (kProducts == 6) MultiplyRegisters();  // middle middle
    LoadPanel(0);
    if constexpr (kProducts != 1) {
      MultiplyRegisters();  // middle high
      if constexpr (kProducts == 6) {
        LoadRows(2);
        MultiplyRegisters();  // low high
      }
      LoadRows(0);
    }
    MultiplyRegisters();  // high high
  }
};

template <int kRowTiles, int kColumnTiles>
ATTENTION_AMX_INLINE void StartSums(const float* sums, int64_t stride, bool accumulate) {
  const int64_t row_bytes = stride * static_cast<int64_t>(sizeof(float));
  if (!accumulate) {
    _tile_zero(0);
    if constexpr (kColumnTiles == 2) _tile_zero(1);
    if constexpr (kRowTiles == 2) _tile_zero(2);
    if constexpr (kRowTiles == 2 && kColumnTiles == 2) _tile_zero(3);
    return;
  }
  const float* below = sums + kTileRegisterRows * stride;
  _tile_loadd(0, sums, row_bytes);
  if constexpr (kColumnTiles == 2) _tile_loadd(1, sums + kTileRegisterColumns, row_bytes);
  if constexpr (kRowTiles == 2) _tile_loadd(2, below, row_bytes);
  if constexpr (kRowTiles == 2 && kColumnTiles == 2) {
    _tile_loadd(3, below + kTileRegisterColumns, row_bytes);
  }
}

template <int kRowTiles, int kColumnTiles>
ATTENTION_AMX_INLINE void StoreSums(float* sums, int64_t stride) {
  const int64_t row_bytes = stride * static_cast<int64_t>(sizeof(float));
  float* below = sums + kTileRegisterRows * stride;
  _tile_stored(0, sums, row_bytes);
  if constexpr (kColumnTiles == 2) _tile_stored(1, sums + kTileRegisterColumns, row_bytes);
  if constexpr (kRowTiles == 2) _tile_stored(2, below, row_bytes);
  if constexpr (kRowTiles == 2 && kColumnTiles == 2) {
    _tile_stored(3, below + kTileRegisterColumns, row_bytes);
  }
}

// Up to two by two tiles of sums, from `row` and `column` on.
template <int kProducts, int kRowTiles, int kColumnTiles>
ATTENTION_AMX void MultiplyTiles(const TileProduct& product, int64_t row, int64_t column) {
  Tiles<kRowTiles, kColumnTiles> tiles = {product.rows, product.panel};
  tiles.rows.data += row * product.rows.row_stride;
  tiles.panel.data += 2 * column;
  float* sums = product.sums + row * product.sums_stride + column;
  StartSums<kRowTiles, kColumnTiles>(sums, product.sums_stride, product.accumulate);
  for (int64_t block = 0; block < product.block_count; ++block) {
    tiles.template MultiplyBlock<kProducts>();
    tiles.rows.data += product.rows.block_stride;
    tiles.panel.data += product.panel.block_stride;
  }
  StoreSums<kRowTiles, kColumnTiles>(sums, product.sums_stride);
}

template <int kProducts>
void MultiplyAs(const TileProduct& product) {
  for (int64_t column = 0; column < product.column_count; column += 2 * kTileRegisterColumns) {
    const bool two_columns = column + kTileRegisterColumns < product.column_count;
    for (int64_t row = 0; row < product.row_count; row += 2 * kTileRegisterRows) {
      const bool two_rows = row + kTileRegisterRows < product.row_count;
      if (two_rows && two_columns) {
        MultiplyTiles<kProducts, 2, 2>(product, row, column);
      } else if (two_rows) {
        MultiplyTiles<kProducts, 2, 1>(product, row, column);
      } else if (two_columns) {
        MultiplyTiles<kProducts, 1, 2>(product, row, column);
      } else {
        MultiplyTiles<kProducts, 1, 1>(product, row, column);
      }
    }
  }
}

// Eight registers of 16 rows of 64 bytes, as the instruction reads them.
struct alignas(64) TileConfiguration {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  std::array<uint8_t, 14> reserved = {};
  std::array<uint16_t, 16> row_bytes = {64, 64, 64, 64, 64, 64, 64, 64};
  std::array<uint8_t, 16> row_counts = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfiguration) == 64);

ATTENTION_AMX void ConfigureTileRegisters() {
  static constexpr TileConfiguration kConfiguration;
  _tile_loadconfig(&kConfiguration);
}

ATTENTION_AMX void ReleaseTileRegisters() { _tile_release(); }

}  // namespace

void Multiply(const TileProduct& product) {
  if (product.product_count == 6) return MultiplyAs<6>(product);
  if (product.product_count == 3) return MultiplyAs<3>(product);
  MultiplyAs<1>(product);
}

TileRegisterScope::TileRegisterScope(bool needed) : needed_(needed) {
  if (needed_) ConfigureTileRegisters();
}

TileRegisterScope::~TileRegisterScope() {
  if (needed_) ReleaseTileRegisters();
}

}  // namespace attention::kernels
