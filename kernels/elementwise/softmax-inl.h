// What both kinds of running softmax share. Per-target include guard, as Highway asks.

#if defined(ATTENTION_KERNELS_ELEMENTWISE_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTENTION_KERNELS_ELEMENTWISE_SOFTMAX_INL_H_
#undef ATTENTION_KERNELS_ELEMENTWISE_SOFTMAX_INL_H_
#else
#define ATTENTION_KERNELS_ELEMENTWISE_SOFTMAX_INL_H_
#endif

#include <cmath>
#include <limits>

#include "hwy/highway.h"
#include "kernels/elementwise/elementwise.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using FloatVector = hn::Vec<FloatTag>;

// `count` is a multiple of kColumnMultiple, and of any number of lanes. A NaN may be dropped: the
// weights bring it back.
HWY_INLINE float MaximumOfRow(const float* row, int64_t count) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto maximum0 = hn::Set(d, -std::numeric_limits<float>::infinity());
  auto maximum1 = maximum0;
  int64_t column = 0;
  for (; column + 2 * lanes <= count; column += 2 * lanes) {
    maximum0 = hn::Max(hn::LoadU(d, row + column), maximum0);
    maximum1 = hn::Max(hn::LoadU(d, row + column + lanes), maximum1);
  }
  if (column < count) maximum0 = hn::Max(hn::LoadU(d, row + column), maximum0);
  return hn::ReduceMax(d, hn::Max(maximum0, maximum1));
}

// What turns scores of a row into exponents of 2.
struct Exponents {
  FloatVector reference;
  FloatVector scale;

  HWY_INLINE Exponents(float reference_in, float scale_in)
      : reference(hn::Set(FloatTag(), reference_in)), scale(hn::Set(FloatTag(), scale_in)) {}

  HWY_INLINE FloatVector Of(FloatVector score) const {
    return hn::Mul(hn::Sub(score, reference), scale);
  }
};

HWY_INLINE bool ContainsNan(const float* row, int64_t count) {
  bool found = false;
  for (int64_t column = 0; column < count; ++column) found |= std::isnan(row[column]);
  return found;
}

HWY_INLINE void ScaleRow(float* row, int64_t count, float factor) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto factors = hn::Set(d, factor);
  int64_t column = 0;
  for (; column + lanes <= count; column += lanes) {
    hn::StoreU(hn::Mul(hn::LoadU(d, row + column), factors), d, row + column);
  }
  for (; column < count; ++column) row[column] *= factor;
}

// Takes weights relative to `reference`, whose sum is `sum`, into the running softmax of a row.
HWY_INLINE void AddWeights(const SoftmaxBlock& block, int64_t row, float reference, float sum) {
  const float old_reference = block.references[row];
  if (reference == old_reference) {
    block.sums[row] += sum;
    return;
  }
  block.references[row] = reference;
  if (old_reference == -std::numeric_limits<float>::infinity()) {  // nothing to rescale but a NaN
    block.sums[row] += sum;
    return;
  }
  const float rescale = std::exp2((old_reference - reference) * block.exponent_scales[row]);
  block.sums[row] = block.sums[row] * rescale + sum;
  ScaleRow(block.outputs + row * block.output_stride_elements, block.output_count, rescale);
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
