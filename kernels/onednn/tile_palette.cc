#include "kernels/onednn/tile_palette.h"

#include <immintrin.h>

namespace attention::kernels {

// The target belongs to this one function, so that no shared inline function is compiled with it.
__attribute__((target("amx-tile"))) TilePalette StoredTilePalette() {
  TilePalette palette;
  _tile_storeconfig(palette.bytes.data());
  return palette;
}

}  // namespace attention::kernels
