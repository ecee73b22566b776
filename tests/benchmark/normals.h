// Random operands.

#ifndef ATTENTION_TESTS_BENCHMARK_NORMALS_H_
#define ATTENTION_TESTS_BENCHMARK_NORMALS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/tensor_view.h"

namespace attention::benchmark {

// Elements of `type` from N(0, 1), the same for the same seed.
void FillWithNormals(std::span<std::byte> bytes, kernels::DataType type, uint64_t seed);

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_NORMALS_H_
