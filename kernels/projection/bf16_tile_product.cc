#include "kernels/projection/bf16_tile_product.h"

#include <immintrin.h>

#include <array>

#include "kernels/elementwise/projection_rows.h"

// The target belongs to the functions of this file alone, so that no shared inline function is
// compiled with it.
#define ATTENTION_AMX __attribute__((target("amx-tile,amx-bf16")))
#define ATTENTION_AMX_INLINE ATTENTION_AMX __attribute__((always_inline)) inline

namespace attention::kernels {
namespace {

constexpr int64_t kRegisterBytes = 64;    // of a row
constexpr int64_t kRegisterColumns = 16;  // of sums, and of pairs

// Registers 0 to 3 hold the sums of up to two by two tiles, 4 and 5 those of rows, 6 and 7 those of
// the panel. The instructions take their numbers as literals.
template <int kRowTiles, int kColumnTiles>
struct Tiles {
  const uint16_t* rows;
  int64_t row_part_stride;  // elements
  const uint16_t* panel;
  int64_t panel_part_stride;
  int64_t panel_row_bytes;

  ATTENTION_AMX_INLINE void LoadRows(int64_t part) const {
    const uint16_t* first = rows + part * row_part_stride;
    _tile_loadd(4, first, kRegisterBytes);
    if constexpr (kRowTiles == 2) {
      _tile_loadd(5, first + kTileRegisterRows * kBlockRows, kRegisterBytes);
    }
  }

  ATTENTION_AMX_INLINE void LoadPanel(int64_t part) const {
    const uint16_t* first = panel + part * panel_part_stride;
    _tile_loadd(6, first, panel_row_bytes);
    if constexpr (kColumnTiles == 2) {
      _tile_loadd(7, first + 2 * kRegisterColumns, panel_row_bytes);
    }
  }

  ATTENTION_AMX_INLINE void Multiply() const {
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kColumnTiles == 2) _tile_dpbf16ps(1, 4, 7);
    if constexpr (kRowTiles == 2) _tile_dpbf16ps(2, 5, 6);
    if constexpr (kRowTiles == 2 && kColumnTiles == 2) _tile_dpbf16ps(3, 5, 7);
  }

  // All products of a block, the smallest first where that costs no further load.
  template <ProductKind kKind>
  ATTENTION_AMX_INLINE void MultiplyBlock() const {
    LoadRows(0);
    if constexpr (kKind == ProductKind::kBF16X6) {
      LoadPanel(2);
      Multiply();  // high low
    }
    if constexpr (kKind != ProductKind::kBF16) {
      LoadPanel(1);
      Multiply();  // high middle
      LoadRows(1);
    }
    if constexpr (kKind == ProductKind::kBF16X6) Multiply();  // middle middle
    LoadPanel(0);
    if constexpr (kKind != ProductKind::kBF16) {
      Multiply();  // middle high
      if constexpr (kKind == ProductKind::kBF16X6) {
        LoadRows(2);
        Multiply();  // low high
      }
      LoadRows(0);
    }
    Multiply();  // high high
  }
};

template <int kRowTiles, int kColumnTiles>
ATTENTION_AMX_INLINE void StartSums(const float* sums, int64_t row_bytes, bool accumulate) {
  if (!accumulate) {
    _tile_zero(0);
    if constexpr (kColumnTiles == 2) _tile_zero(1);
    if constexpr (kRowTiles == 2) _tile_zero(2);
    if constexpr (kRowTiles == 2 && kColumnTiles == 2) _tile_zero(3);
    return;
  }
  const float* below = sums + kTileRegisterRows * (row_bytes / static_cast<int64_t>(sizeof(float)));
  _tile_loadd(0, sums, row_bytes);
  if constexpr (kColumnTiles == 2) _tile_loadd(1, sums + kRegisterColumns, row_bytes);
  if constexpr (kRowTiles == 2) _tile_loadd(2, below, row_bytes);
  if constexpr (kRowTiles == 2 && kColumnTiles == 2) {
    _tile_loadd(3, below + kRegisterColumns, row_bytes);
  }
}

template <int kRowTiles, int kColumnTiles>
ATTENTION_AMX_INLINE void StoreSums(float* sums, int64_t row_bytes) {
  float* below = sums + kTileRegisterRows * (row_bytes / static_cast<int64_t>(sizeof(float)));
  _tile_stored(0, sums, row_bytes);
  if constexpr (kColumnTiles == 2) _tile_stored(1, sums + kRegisterColumns, row_bytes);
  if constexpr (kRowTiles == 2) _tile_stored(2, below, row_bytes);
  if constexpr (kRowTiles == 2 && kColumnTiles == 2) {
    _tile_stored(3, below + kRegisterColumns, row_bytes);
  }
}

// Up to two by two tiles of sums, from `row` and `column` on.
template <ProductKind kKind, int kRowTiles, int kColumnTiles>
ATTENTION_AMX void MultiplyTiles(const BF16TileProduct& product, int64_t row, int64_t column) {
  constexpr int64_t kPartCount = kKind == ProductKind::kBF16 ? 1 : 3;
  Tiles<kRowTiles, kColumnTiles> tiles;
  tiles.rows = product.rows + row * kBlockRows;
  tiles.row_part_stride = product.row_count * kBlockRows;
  tiles.panel = product.panel + 2 * column;
  tiles.panel_part_stride = product.column_count * kBlockRows;
  tiles.panel_row_bytes = product.column_count * 2 * static_cast<int64_t>(sizeof(uint16_t));
  float* sums = product.sums + row * product.column_count + column;
  const int64_t sums_row_bytes = product.column_count * static_cast<int64_t>(sizeof(float));
  StartSums<kRowTiles, kColumnTiles>(sums, sums_row_bytes, product.accumulate);
  for (int64_t block = 0; block < product.block_count; ++block) {
    tiles.template MultiplyBlock<kKind>();
    tiles.rows += kPartCount * tiles.row_part_stride;
    tiles.panel += kPartCount * tiles.panel_part_stride;
  }
  StoreSums<kRowTiles, kColumnTiles>(sums, sums_row_bytes);
}

template <ProductKind kKind>
void MultiplyAs(const BF16TileProduct& product) {
  for (int64_t column = 0; column < product.column_count; column += 2 * kRegisterColumns) {
    const bool two_columns = column + kRegisterColumns < product.column_count;
    for (int64_t row = 0; row < product.row_count; row += 2 * kTileRegisterRows) {
      const bool two_rows = row + kTileRegisterRows < product.row_count;
      if (two_rows && two_columns) {
        MultiplyTiles<kKind, 2, 2>(product, row, column);
      } else if (two_rows) {
        MultiplyTiles<kKind, 2, 1>(product, row, column);
      } else if (two_columns) {
        MultiplyTiles<kKind, 1, 2>(product, row, column);
      } else {
        MultiplyTiles<kKind, 1, 1>(product, row, column);
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

void MultiplyTile(const BF16TileProduct& product) {
  if (product.kind == ProductKind::kBF16X6) return MultiplyAs<ProductKind::kBF16X6>(product);
  if (product.kind == ProductKind::kBF16X3) return MultiplyAs<ProductKind::kBF16X3>(product);
  MultiplyAs<ProductKind::kBF16>(product);
}

TileRegisterScope::TileRegisterScope(bool needed) : needed_(needed) {
  if (needed_) ConfigureTileRegisters();
}

TileRegisterScope::~TileRegisterScope() {
  if (needed_) ReleaseTileRegisters();
}

}  // namespace attention::kernels
