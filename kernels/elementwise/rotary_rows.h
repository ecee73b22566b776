// Rows whose numbers turn in pairs, and the cosines and sines of their angles.
//
// Free functions on raw arrays, compiled for several instruction sets. Thread safety: reentrant.
// Allocation: none.

#ifndef ATTENTION_KERNELS_ELEMENTWISE_ROTARY_ROWS_H_
#define ATTENTION_KERNELS_ELEMENTWISE_ROTARY_ROWS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/tensor_view.h"

namespace attention::kernels {

// How far pairs turn from one position to the next, in turns of the circle, each as the sum of two
// numbers of which the first has at most kExactRateBits significant bits: times a position it is
// exact, so that what is left beyond whole turns keeps its digits at every position below 2^32.
struct TurnRates {
  const double* high = nullptr;
  const double* low = nullptr;
  int64_t pair_count = 0;
};
inline constexpr int kExactRateBits = 21;

// The cosines and sines of some angles, one for each pair.
template <class Number>
struct PairTurns {
  Number* cosines = nullptr;
  Number* sines = nullptr;
};

// Those of position * (high[k] + low[k]) turns, within 2^-49.
void TurnsOf(int64_t position, const TurnRates& rates, const PairTurns<double>& turns);

// Those of the sums of two angles, computed in float64 and rounded once: a tenth of the work of
// angles of their own.
void AddTurns(const PairTurns<const double>& first, const PairTurns<const double>& second,
              int64_t pair_count, const PairTurns<float>& sum);

struct RotatedRows {
  DataType type = DataType::kF32;    // not BOOL
  const std::byte* input = nullptr;  // may be the output, with the same stride
  int64_t input_stride_bytes = 0;
  std::byte* output = nullptr;
  int64_t output_stride_bytes = 0;
  int64_t row_count = 0;
  int64_t width = 0;         // of a row
  int64_t pair_count = 0;    // at most width / 2: the first 2 * pair_count numbers turn
  bool interleaved = false;  // pairs (2 k, 2 k + 1) instead of (k, k + pair_count)
};

// x' = x cos - y sin, y' = x sin + y cos for the pairs of each row, the rest copied. `cosines` and
// `sines` are [row_count, pair_count]. Computed in f32 and rounded to the type once; F64 in f64,
// with the tables in f64.
void RotateRows(const RotatedRows& rows, const float* cosines, const float* sines);
void RotateF64Rows(const RotatedRows& rows, const double* cosines, const double* sines);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ELEMENTWISE_ROTARY_ROWS_H_
