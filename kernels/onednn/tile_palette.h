// The configuration of AMX tile registers, as the processor reports it.

#ifndef ATTENTION_KERNELS_ONEDNN_TILE_PALETTE_H_
#define ATTENTION_KERNELS_ONEDNN_TILE_PALETTE_H_

#include <array>
#include <cstdint>

namespace attention::kernels {

// 64 bytes as `sttilecfg` writes them; all zero where nothing is configured.
struct TilePalette {
  std::array<uint8_t, 64> bytes = {};

  [[nodiscard]] bool empty() const { return bytes[0] == 0; }
  bool operator==(const TilePalette&) const = default;
};

// The calling thread's. Only where AMX is available.
[[nodiscard]] TilePalette StoredTilePalette();

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ONEDNN_TILE_PALETTE_H_
