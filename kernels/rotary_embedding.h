// Rotary embedding: rows whose numbers are turned in pairs, by angles that follow from the position
// of the row or by given cosines and sines.
//
//   x' = x cos - y sin,   y' = x sin + y cos
//
// for the pairs (k, k + width / 2) or, interleaved, (2 k, 2 k + 1) of the first `width` numbers of
// a row, k = 0 .. width / 2 - 1; the rest of the row stays as it is.
//
// F32, F16 and BF16 are computed in f32 and rounded once (BF16 results below 2^-126 may become 0),
// F64 in float64. The bits of a row depend on its numbers and its angles alone.
//
// Sources: Su et al., "RoFormer" (2021); the operator RotaryEmbedding of ONNX (opset 23).

#ifndef ATTENTION_KERNELS_ROTARY_EMBEDDING_H_
#define ATTENTION_KERNELS_ROTARY_EMBEDDING_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/attention_problem.h"
#include "kernels/execution.h"
#include "kernels/tensor_view.h"

namespace attention::kernels {

// Row r of a batch entry has the position r + first or, if that is not empty, r +
// batch_firsts[batch].
struct RowPositions {
  int64_t first = 0;
  std::span<const int64_t> batch_firsts = {};
};

// Turns the rows of [batch, heads, rows, row width] by position * position_scale * base^(-2 k /
// width). Whole turns are taken off before an angle is rounded to float64: with a base of at least
// 1, so that no angle exceeds |position * position_scale|, cosines and sines are off by at most
// 2^-49 + 2^-60 * |position * position_scale|, for positions up to 2^32.
//
// The output has the extents and the type of the input; it may be the same memory with the same
// strides, and must not overlap it otherwise. Returns how many threads took part; kInvalidArgument,
// with nothing written, naming the field and both values; kCancelled if stopped; kResourceExhausted
// without memory for the angles of some rows, which threads keep. Thread safety: reentrant.
[[nodiscard]] absl::StatusOr<int> ApplyRotaryEmbedding(const RotaryEmbedding& rotary,
                                                       const RowPositions& positions,
                                                       const TensorView& input,
                                                       const MutableTensorView& output,
                                                       const Execution& execution = {});

// Cosines and sines, each [1, 1, positions, width / 2] with positions for the rows, or
// [batch, 1, rows, width / 2] without. In the type of the rows that they turn.
struct RotaryTables {
  TensorView cosines;
  TensorView sines;
  const int64_t* row_positions = nullptr;  // null, or [batch, rows], each in [0, positions)
  int64_t width = 0;                       // even, at most the row width; 0 means the row width
  bool interleaved = false;
};

// The same by tables, which nothing is assumed of: cos^2 + sin^2 need not be 1.
[[nodiscard]] absl::StatusOr<int> ApplyRotaryTables(const RotaryTables& tables,
                                                    const TensorView& input,
                                                    const MutableTensorView& output,
                                                    const Execution& execution = {});

// The checks that ApplyRotaryTables makes of everything but the output. A floating point input that
// they accept has fewer than 2^63 bytes.
[[nodiscard]] absl::Status ValidateRotaryTables(const RotaryTables& tables,
                                                const TensorView& input);

// kInvalidArgument unless rows of `row_width` numbers can be turned like this; names the fields of
// RotaryEmbedding with `rotary.` in front.
[[nodiscard]] absl::Status ValidateRotaryEmbedding(const RotaryEmbedding& rotary,
                                                   int64_t row_width);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ROTARY_EMBEDDING_H_
