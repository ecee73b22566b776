#include "tests/benchmark/normals.h"

#include "kernels/convert.h"
#include "tests/support/random.h"

namespace attention::benchmark {

void FillWithNormals(std::span<std::byte> bytes, kernels::DataType type, uint64_t seed) {
  test::Random random(seed);
  const size_t step = kernels::ElementBytes(type);
  for (size_t at = 0; at < bytes.size(); at += step) {
    const double value = random.Normal();
    kernels::StoreElements(type, &value, 1, bytes.data() + at);
  }
}

}  // namespace attention::benchmark
