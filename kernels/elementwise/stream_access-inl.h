// How streamed rows become vectors, and the few rows beside them blocks. Per-target include guard,
// as Highway asks.

#if defined(ATTENTION_KERNELS_ELEMENTWISE_STREAM_ACCESS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTENTION_KERNELS_ELEMENTWISE_STREAM_ACCESS_INL_H_
#undef ATTENTION_KERNELS_ELEMENTWISE_STREAM_ACCESS_INL_H_
#else
#define ATTENTION_KERNELS_ELEMENTWISE_STREAM_ACCESS_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/elementwise/stream_rows.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using FloatVector = hn::Vec<FloatTag>;

// `count` elements from `source` as f32; zeros follow if there are fewer than lanes.
HWY_INLINE FloatVector LoadF32(const float* source) { return hn::LoadU(FloatTag(), source); }
HWY_INLINE FloatVector LoadF32Part(const float* source, size_t count) {
  return hn::LoadN(FloatTag(), source, count);
}
template <class T>
HWY_INLINE FloatVector LoadF32(const T* source) {
  const hn::Rebind<T, FloatTag> narrow;
  return hn::PromoteTo(FloatTag(), hn::LoadU(narrow, source));
}
template <class T>
HWY_INLINE FloatVector LoadF32Part(const T* source, size_t count) {
  const hn::Rebind<T, FloatTag> narrow;
  return hn::PromoteTo(FloatTag(), hn::LoadN(narrow, source, count));
}

template <class T>
HWY_INLINE const T* Row(const StreamedRows& streamed, int64_t row) {
  return reinterpret_cast<const T*>(streamed.data + row * streamed.row_stride_bytes);
}

HWY_INLINE FewRows RowsFrom(const FewRows& rows, int64_t row) {
  return {rows.data + row * rows.stride_elements, rows.stride_elements, rows.row_count - row};
}

// Calls take(size, row) for blocks of rows, with their size as an integral constant.
template <int64_t kBlock, class Take>
HWY_INLINE void ForRowBlocks(int64_t row_count, const Take& take) {
  int64_t row = 0;
  for (; row + kBlock <= row_count; row += kBlock) {
    take(std::integral_constant<int64_t, kBlock>(), row);
  }
  static_assert(kBlock <= 4);
  if (row_count - row == 3) take(std::integral_constant<int64_t, 3>(), row);
  if (row_count - row == 2) take(std::integral_constant<int64_t, 2>(), row);
  if (row_count - row == 1) take(std::integral_constant<int64_t, 1>(), row);
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
