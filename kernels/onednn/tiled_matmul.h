// A projection by oneDNN's matmul, in row tiles of one height.

#ifndef ATTENTION_KERNELS_ONEDNN_TILED_MATMUL_H_
#define ATTENTION_KERNELS_ONEDNN_TILED_MATMUL_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/projection.h"

namespace attention::kernels {

// F32, F16 or BF16; the weight is packed once and shared by all tiles. Each tile runs on its
// calling thread alone.
class TiledMatmul {
 public:
  // Height of the tiles. The last one is filled up with zero rows, so that every row is computed by
  // the same code whatever its neighbours are.
  static constexpr int64_t kTileRows = 64;

  virtual ~TiledMatmul() = default;

  // `projection` must outlive the object. kInternal if oneDNN fails. Throws std::bad_alloc.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<TiledMatmul>> Make(
      const Projection& projection);

  // Computes rows [first_row, first_row + kTileRows), as far as they exist. Thread safety:
  // different tiles from any threads. kInternal if oneDNN fails. Throws std::bad_alloc.
  [[nodiscard]] virtual absl::Status RunTile(int64_t first_row) const = 0;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ONEDNN_TILED_MATMUL_H_
