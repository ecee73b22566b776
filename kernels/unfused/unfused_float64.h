// "unfused-float64": every option of attend.h, in float64, on any machine, with the products, the
// normalization and the sum over values one after the other. Reads any type and rounds each result
// once, to nearest even.
//
// It exists for what the fused implementations do not offer and for F64, and is much slower than
// they are. Memory: the scores of at most 16 rows a thread, two doubles a key for softmax over
// queries, and two doubles a query and one a key for the key mass. Stops between ranges of keys.
// The bits of a row depend on nothing but the row's own operands and, of softmax over queries, on
// the other queries of its head.

#ifndef ATTENTION_KERNELS_UNFUSED_UNFUSED_FLOAT64_H_
#define ATTENTION_KERNELS_UNFUSED_UNFUSED_FLOAT64_H_

#include "kernels/implementation.h"

namespace attention::kernels {

[[nodiscard]] const Implementation& UnfusedFloat64();

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_UNFUSED_UNFUSED_FLOAT64_H_
