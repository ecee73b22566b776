// Small matrix products on raw arrays: oneDNN's BRGEMM ukernels, made once per shape and kept.
//
//   C[row, column] (+)= sum over k of A[row, k] * B[k, column]
//
// A is row-major. B is row-major for F32; for BF16 rows stand in pairs, B[k / 2][column][k % 2],
// which is what the processor's tile instructions read. C is f32, row-major. Needs at least AVX2;
// BF16 needs AMX or AVX-512's products of BF16 pairs.

#ifndef ATTENTION_KERNELS_ONEDNN_MATRIX_KERNEL_H_
#define ATTENTION_KERNELS_ONEDNN_MATRIX_KERNEL_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attention::kernels {

enum class MatrixType : uint8_t { kF32, kBF16 };

// Strides are in elements; B's stride counts columns (of pairs, for BF16).
struct MatrixKernelShape {
  MatrixType type = MatrixType::kF32;
  bool accumulate = false;  // add to C rather than overwrite it
  int64_t row_count = 0;
  int64_t column_count = 0;
  int64_t inner_count = 0;  // even for BF16
  int64_t a_stride = 0;
  int64_t b_stride = 0;  // at least column_count
  int64_t c_stride = 0;

  auto operator<=>(const MatrixKernelShape&) const = default;

  template <class H>
  friend H AbslHashValue(H h, const MatrixKernelShape& s) {
    return H::combine(std::move(h), s.type, s.accumulate, s.row_count, s.column_count,
                      s.inner_count, s.a_stride, s.b_stride, s.c_stride);
  }
};

// Immutable; may run in several threads at once.
class MatrixKernel {
 public:
  virtual ~MatrixKernel() = default;

  // Within a MatrixKernelScope of the calling thread, unless all operands are f32. kInternal if
  // oneDNN says that it failed.
  [[nodiscard]] virtual absl::Status Run(const void* a, const void* b, float* c) const = 0;
};

// The kernel for a shape, generated at its first use (about 0.3 ms) and kept. Callers round shapes
// up so that there are few; should there ever be more than kMaxMatrixKernels, all are forgotten and
// made anew as needed. kInternal if oneDNN cannot make it. Thread safety: reentrant.
[[nodiscard]] absl::StatusOr<std::shared_ptr<const MatrixKernel>> FindMatrixKernel(
    const MatrixKernelShape& shape);
inline constexpr size_t kMaxMatrixKernels = 4096;

// Brackets the use of kernels on one thread: inside, the thread's tile registers are ours; at the
// end they are released, so that idle threads hold no tile state.
class MatrixKernelScope {
 public:
  MatrixKernelScope();
  ~MatrixKernelScope();
  MatrixKernelScope(const MatrixKernelScope&) = delete;
  MatrixKernelScope& operator=(const MatrixKernelScope&) = delete;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ONEDNN_MATRIX_KERNEL_H_
