#include "tests/benchmark/projection_operands.h"

#include <cstring>

#include "tests/benchmark/normals.h"

namespace attention::benchmark {

std::vector<ProjectionShape> AllProjectionShapes() {
  std::vector<ProjectionShape> shapes;
  for (const int64_t width : {256, 768, 1024}) {
    for (const int64_t token_count : {128, 512}) {
      const std::string size = std::to_string(token_count) + "x" + std::to_string(width);
      shapes.push_back({"qkv_" + size, token_count, width, 3, true});
      shapes.push_back({"qkv_" + size + "_unpacked", token_count, width, 3, false});
      shapes.push_back({"output_" + size, token_count, width, 1, true});
    }
  }
  return shapes;
}

double ProjectionFlops(const ProjectionShape& shape) {
  const auto width = static_cast<double>(shape.width);
  return 2.0 * static_cast<double>(shape.token_count) * width * width *
         static_cast<double>(shape.map_count);
}

ProjectionOperands::ProjectionOperands(const ProjectionShape& shape, kernels::DataType type)
    : shape_(shape), type_(type) {
  const auto width = static_cast<size_t>(shape.width);
  const size_t row_bytes = width * kernels::ElementBytes(type);
  const size_t rows_bytes = static_cast<size_t>(shape.token_count) * row_bytes;
  input_ = Bytes(rows_bytes);
  FillWithNormals({input_.data(), rows_bytes}, type, 1);
  for (size_t map = 0; map < shape.map_count; ++map) {
    const Bytes& weight = weights_.emplace_back(width * row_bytes);
    const Bytes& bias = biases_.emplace_back(row_bytes);
    const Bytes& output = outputs_.emplace_back(rows_bytes);
    std::memset(output.data(), 0xFF, rows_bytes);  // NaN: what nobody writes is no result
    FillWithNormals({weight.data(), width * row_bytes}, type, 2 + 2 * map);
    FillWithNormals({bias.data(), row_bytes}, type, 3 + 2 * map);
    maps_.push_back({shape.width, weight.data(), bias.data()});
    projected_.push_back({output.data(), shape.width});
  }
}

kernels::ProjectionMaps ProjectionOperands::Maps(kernels::Precision precision) const {
  return {type_, precision, shape_.width, maps_};
}

kernels::ProjectionRows ProjectionOperands::Rows() const {
  return {shape_.token_count, input_.data(), shape_.width, projected_};
}

}  // namespace attention::benchmark
