#include "kernels/elementwise/stream_rows.h"

// Highway compiles the rest of this file once for each instruction set; here also for AMD's
// processors with dot products of BF16 pairs, which read memory in another order.
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/stream_rows.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "kernels/elementwise/stream_dots-inl.h"
#include "kernels/elementwise/stream_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

void DotStreamedRowsHere(const StreamedRows& streamed, const QueryRows& queries,
                         const FewRows& products) {
  if (streamed.type == DataType::kF32) return DotRows<float>(streamed, queries, products);
  if (streamed.type == DataType::kBF16)
    return DotRows<hwy::bfloat16_t>(streamed, queries, products);
  return DotRows<hwy::float16_t>(streamed, queries, products);
}

void SumStreamedRowsHere(const StreamedRows& streamed, const FewRows& weights,
                         const FewRows& sums) {
  if (streamed.type == DataType::kF32) return SumRows<float>(streamed, weights, sums);
  if (streamed.type == DataType::kBF16) return SumRows<hwy::bfloat16_t>(streamed, weights, sums);
  return SumRows<hwy::float16_t>(streamed, weights, sums);
}

void SumStreamedRowsExceptHere(const StreamedRows& streamed, const FewRows& weights, float skipped,
                               const FewRows& sums) {
  if (streamed.type == DataType::kF32)
    return SumRowsExcept<float>(streamed, weights, skipped, sums);
  if (streamed.type == DataType::kBF16)
    return SumRowsExcept<hwy::bfloat16_t>(streamed, weights, skipped, sums);
  return SumRowsExcept<hwy::float16_t>(streamed, weights, skipped, sums);
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(DotStreamedRowsHere);
HWY_EXPORT(SumStreamedRowsHere);
HWY_EXPORT(SumStreamedRowsExceptHere);

void DotStreamedRows(const StreamedRows& streamed, const QueryRows& queries,
                     const FewRows& products) {
  HWY_DYNAMIC_DISPATCH(DotStreamedRowsHere)(streamed, queries, products);
}

void SumStreamedRows(const StreamedRows& streamed, const FewRows& weights, const FewRows& sums) {
  HWY_DYNAMIC_DISPATCH(SumStreamedRowsHere)(streamed, weights, sums);
}

void SumStreamedRowsExcept(const StreamedRows& streamed, const FewRows& weights, float skipped,
                           const FewRows& sums) {
  HWY_DYNAMIC_DISPATCH(SumStreamedRowsExceptHere)(streamed, weights, skipped, sums);
}

}  // namespace attention::kernels
#endif  // HWY_ONCE
