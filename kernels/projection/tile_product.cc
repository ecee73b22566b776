#include "kernels/projection/tile_product.h"

#include <algorithm>
#include <array>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/projection_rows.h"
#include "kernels/instruction_set.h"
#include "kernels/onednn/matrix_kernel.h"

namespace attention::kernels {
namespace {

// Which parts of the operands a product multiplies.
struct PartPair {
  int64_t row_part = 0;
  int64_t panel_part = 0;
};

// The largest products first, as all six are summed in one accumulator.
constexpr std::array<PartPair, 6> kPartPairs = {{{0, 0}, {0, 1}, {1, 0}, {0, 2}, {2, 0}, {1, 1}}};

std::span<const PartPair> PartPairsOf(ProductKind kind) {
  const std::span<const PartPair> all = kPartPairs;
  if (kind == ProductKind::kBF16X6) return all;
  return all.first(kind == ProductKind::kBF16X3 ? 3 : 1);
}

constexpr int64_t kMostBatch = kChunkRows / kBlockRows * static_cast<int64_t>(kPartPairs.size());

struct PreparedKernel {
  MatrixKernelShape shape;
  ProductKind kind = ProductKind::kF32;
  std::shared_ptr<const MatrixKernel> kernel;
  std::array<OperandOffsets, kMostBatch> batch;  // of BF16 products
};

// All products of a block follow one another, while its parts are in the first-level cache.
void FillBatch(PreparedKernel& prepared) {
  const MatrixKernelShape& shape = prepared.shape;
  const std::span<const PartPair> pairs = PartPairsOf(prepared.kind);
  const int64_t part_count = prepared.kind == ProductKind::kBF16 ? 1 : 3;
  constexpr int64_t kBytes = kBlockRows * static_cast<int64_t>(sizeof(uint16_t));
  const int64_t row_part_bytes = shape.row_count * kBytes;
  const int64_t panel_part_bytes = shape.column_count * kBytes;
  size_t next = 0;
  const int64_t block_count = shape.batch_count / static_cast<int64_t>(pairs.size());
  for (int64_t block = 0; block < block_count; ++block) {
    for (const PartPair& pair : pairs) {
      prepared.batch[next++] = {
          .a_bytes = (block * part_count + pair.row_part) * row_part_bytes,
          .b_bytes = (block * part_count + pair.panel_part) * panel_part_bytes};
    }
  }
}

// A thread's few latest kernels: a tile of BF16 takes but a few microseconds.
absl::StatusOr<const PreparedKernel*> FindPrepared(const MatrixKernelShape& shape,
                                                   ProductKind kind) {
  thread_local std::array<PreparedKernel, 8> latest;
  thread_local size_t next = 0;
  for (const PreparedKernel& prepared : latest) {
    if (prepared.kernel != nullptr && prepared.kind == kind && prepared.shape == shape) {
      return &prepared;
    }
  }
  absl::StatusOr<std::shared_ptr<const MatrixKernel>> kernel = FindMatrixKernel(shape);
  if (!kernel.ok()) return kernel.status();
  PreparedKernel& prepared = latest[next++ % latest.size()];
  prepared.shape = shape;
  prepared.kind = kind;
  prepared.kernel = *std::move(kernel);
  if (shape.type == MatrixType::kBF16) FillBatch(prepared);
  return &prepared;
}

// For processors that the matrix library has no kernels for.
void MultiplyPlainly(const F32TileProduct& product) {
  for (int64_t row = 0; row < product.row_count; ++row) {
    float* sums = product.sums + row * product.column_count;
    if (!product.accumulate) std::fill_n(sums, product.column_count, 0.0f);
    for (int64_t k = 0; k < product.inner_count; ++k) {
      const float factor = product.rows[row * product.row_stride + k];
      const float* panel = product.panel + k * product.column_count;
      for (int64_t column = 0; column < product.column_count; ++column) {
        sums[column] += factor * panel[column];
      }
    }
  }
}

}  // namespace

absl::Status Multiply(const F32TileProduct& product) {
  if (EffectiveInstructionLevel() < InstructionLevel::kAvx2) {
    MultiplyPlainly(product);
    return absl::OkStatus();
  }
  MatrixKernelShape shape = {.type = MatrixType::kF32,
                             .row_count = product.row_count,
                             .column_count = product.column_count,
                             .a_stride = product.row_stride,
                             .b_stride = product.column_count,
                             .c_stride = product.column_count};
  for (int64_t first = 0; first < product.inner_count; first += kChunkRows) {
    shape.accumulate = product.accumulate || first > 0;
    shape.inner_count = std::min(kChunkRows, product.inner_count - first);
    const absl::StatusOr<const PreparedKernel*> prepared = FindPrepared(shape, ProductKind::kF32);
    if (!prepared.ok()) return prepared.status();
    (*prepared)->kernel->Run(product.rows + first, product.panel + first * product.column_count,
                             product.sums);
  }
  return absl::OkStatus();
}

absl::Status Multiply(const BF16TileProduct& product) {
  const int64_t part_count = product.kind == ProductKind::kBF16 ? 1 : 3;
  const auto pair_count = static_cast<int64_t>(PartPairsOf(product.kind).size());
  MatrixKernelShape shape = {.type = MatrixType::kBF16,
                             .row_count = product.row_count,
                             .column_count = product.column_count,
                             .inner_count = kBlockRows,
                             .a_stride = kBlockRows,
                             .b_stride = product.column_count,
                             .c_stride = product.column_count};
  for (int64_t first = 0; first < product.inner_count; first += kChunkRows) {
    const int64_t inner_count = std::min(kChunkRows, product.inner_count - first);
    shape.accumulate = product.accumulate || first > 0;
    shape.batch_count = RoundUp(inner_count, kBlockRows) / kBlockRows * pair_count;
    const absl::StatusOr<const PreparedKernel*> prepared = FindPrepared(shape, product.kind);
    if (!prepared.ok()) return prepared.status();
    (*prepared)->kernel->RunBatch(product.rows + first * part_count * product.row_count,
                                  product.panel + first * part_count * product.column_count,
                                  (*prepared)->batch.data(), product.sums);
  }
  return absl::OkStatus();
}

}  // namespace attention::kernels
