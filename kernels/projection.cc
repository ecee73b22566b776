#include "kernels/projection.h"

#include <algorithm>
#include <memory>
#include <new>

#include "absl/strings/str_cat.h"
#include "kernels/first_error.h"
#include "kernels/onednn/tiled_matmul.h"

namespace attention::kernels {
namespace {

absl::Status Check(const Projection& projection) {
  if (projection.type == DataType::kBool) {
    return absl::InvalidArgumentError("type: got BOOL, want a floating point type");
  }
  if (projection.row_count < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("row_count: got ", projection.row_count, ", want >= 0"));
  }
  if (projection.input_width < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("input_width: got ", projection.input_width, ", want > 0"));
  }
  if (projection.output_width < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("output_width: got ", projection.output_width, ", want > 0"));
  }
  return absl::OkStatus();
}

// Row by row in float64; the weight is read along its rows.
void ProjectRowFloat64(const Projection& projection, int64_t row) {
  const double* input = static_cast<const double*>(projection.input) + row * projection.input_width;
  const double* weight = static_cast<const double*>(projection.weight);
  double* output = static_cast<double*>(projection.output) + row * projection.output_width;
  if (projection.bias != nullptr) {
    std::copy_n(static_cast<const double*>(projection.bias), projection.output_width, output);
  } else {
    std::fill_n(output, projection.output_width, 0.0);
  }
  for (int64_t k = 0; k < projection.input_width; ++k) {
    for (int64_t column = 0; column < projection.output_width; ++column) {
      output[column] += input[k] * weight[k * projection.output_width + column];
    }
  }
}

absl::Status ProjectTiles(const Projection& projection, const Execution& execution) {
  absl::StatusOr<std::unique_ptr<TiledMatmul>> matmul = TiledMatmul::Make(projection);
  if (!matmul.ok()) return matmul.status();
  FirstError error;
  const int64_t tile_count =
      (projection.row_count + TiledMatmul::kTileRows - 1) / TiledMatmul::kTileRows;
  RunItems(execution, tile_count, [&](int64_t tile) {
    try {
      error.Update((*matmul)->RunTile(tile * TiledMatmul::kTileRows));
    } catch (const std::bad_alloc&) {
      error.Update(absl::ResourceExhaustedError("no memory for a tile of a projection"));
    }
  });
  return error.Get();
}

}  // namespace

absl::Status Project(const Projection& projection, const Execution& execution) {
  absl::Status status = Check(projection);
  if (!status.ok() || projection.row_count == 0) return status;
  if (projection.type == DataType::kF64) {
    RunItems(execution, projection.row_count,
             [&](int64_t row) { ProjectRowFloat64(projection, row); });
  } else {
    status = ProjectTiles(projection, execution);
  }
  if (status.ok() && StopRequested(execution)) return absl::CancelledError("stopped on request");
  return status;
}

}  // namespace attention::kernels
