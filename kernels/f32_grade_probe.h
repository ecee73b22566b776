// Which way of computing f32-grade products is faster at the moment.

#ifndef ATTENTION_KERNELS_F32_GRADE_PROBE_H_
#define ATTENTION_KERNELS_F32_GRADE_PROBE_H_

namespace attention::kernels {

// Whether six BF16 products on tile registers are faster than f32 products: in virtual machines
// tile registers are at times loaded three times as slowly as usual. Measures for about 0.2 ms, at
// most ten times a second, and else gives the last answer. Only where there are BF16 tiles. Thread
// safety: reentrant.
[[nodiscard]] bool SplittingIsFaster();

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_F32_GRADE_PROBE_H_
