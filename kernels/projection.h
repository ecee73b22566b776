// The linear maps before and after attention: output = input weight + bias.

#ifndef ATTENTION_KERNELS_PROJECTION_H_
#define ATTENTION_KERNELS_PROJECTION_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/execution.h"
#include "kernels/tensor_view.h"

namespace attention::kernels {

// All dense and row-major, all of the type `type`: F32, F16, BF16 or F64. F32 and F64 are computed
// in their own precision; F16 and BF16 products are accumulated in f32 and rounded once.
struct Projection {
  DataType type = DataType::kF32;
  int64_t row_count = 0;
  int64_t input_width = 0;       // at least 1
  int64_t output_width = 0;      // at least 1
  const void* input = nullptr;   // [row_count, input_width]
  const void* weight = nullptr;  // [input_width, output_width]
  const void* bias = nullptr;    // [output_width], or null for none
  void* output = nullptr;        // [row_count, output_width]; must not overlap an input
};

// Computes the projection in row tiles of a fixed height, so that a row's bits depend neither on
// the other rows nor on the number of threads. Returns kInvalidArgument for a bad extent or type,
// kCancelled if stopped, kInternal if the matrix library failed. Thread safety: reentrant.
[[nodiscard]] absl::Status Project(const Projection& projection, const Execution& execution = {});

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_PROJECTION_H_
