// Which projections are timed, and their operands.

#ifndef ATTENTION_TESTS_BENCHMARK_PROJECTION_OPERANDS_H_
#define ATTENTION_TESTS_BENCHMARK_PROJECTION_OPERANDS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/aligned_array.h"
#include "kernels/projection.h"

namespace attention::benchmark {

// From embeddings of a width to as many numbers, with a bias, `map_count` times.
struct ProjectionShape {
  std::string name;
  int64_t token_count = 1;
  int64_t width = 1;
  size_t map_count = 1;  // 3: queries, keys and values at once
  bool packed = true;    // the weights serve many times
};

[[nodiscard]] std::vector<ProjectionShape> AllProjectionShapes();

// Multiplications and additions of the products.
[[nodiscard]] double ProjectionFlops(const ProjectionShape& shape);

// N(0, 1) operands. Not copyable: its maps and rows refer to it.
class ProjectionOperands {
 public:
  ProjectionOperands(const ProjectionShape& shape, kernels::DataType type);
  ProjectionOperands(const ProjectionOperands&) = delete;
  ProjectionOperands& operator=(const ProjectionOperands&) = delete;

  [[nodiscard]] kernels::ProjectionMaps Maps(kernels::Precision precision) const;
  [[nodiscard]] kernels::ProjectionRows Rows() const;

 private:
  using Bytes = kernels::AlignedArray<std::byte>;

  const ProjectionShape shape_;
  const kernels::DataType type_;
  Bytes input_;
  std::vector<Bytes> weights_;
  std::vector<Bytes> biases_;
  std::vector<Bytes> outputs_;
  std::vector<kernels::ProjectionMap> maps_;
  std::vector<kernels::ProjectedRows> projected_;
};

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_PROJECTION_OPERANDS_H_
