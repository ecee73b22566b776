#include "tests/benchmark/attention_operands.h"

#include <cstring>
#include <map>
#include <utility>

#include "tests/benchmark/normals.h"

namespace attention::benchmark {
namespace {

using kernels::DataType;
using kernels::Extents;

Extents QueryExtents(const AttentionShape& shape) {
  return {shape.batch, shape.query_head_count, shape.query_count, shape.width};
}

Extents KeyExtents(const AttentionShape& shape) {
  return {shape.batch, shape.key_value_head_count, shape.key_count, shape.width};
}

Extents WeightsExtents(const AttentionShape& shape) {
  return {shape.batch, shape.query_head_count, shape.query_count, shape.key_count};
}

size_t ByteCount(const Extents& extents, DataType type) {
  return static_cast<size_t>(kernels::ElementCount(extents)) * kernels::ElementBytes(type);
}

// Their mean is 40 % of the keys.
std::vector<int64_t> PaddedKeyLengths(const AttentionShape& shape) {
  constexpr double kShares[] = {0.1, 0.7, 0.4, 0.2, 0.6, 0.4, 0.3, 0.5};
  std::vector<int64_t> lengths;
  for (int64_t batch = 0; batch < shape.batch; ++batch) {
    const double share = kShares[static_cast<size_t>(batch) % std::size(kShares)];
    lengths.push_back(static_cast<int64_t>(share * static_cast<double>(shape.key_count)));
  }
  return lengths;
}

}  // namespace

AttentionOperands::AttentionOperands(const AttentionShape& shape, DataType type)
    : shape_(shape),
      type_(type),
      query_(ByteCount(QueryExtents(shape), type)),
      output_(ByteCount(QueryExtents(shape), type)) {
  FillWithNormals({query_.data(), query_.size()}, type, 1);
  const size_t bytes = 2 * ByteCount(KeyExtents(shape), type);
  for (int buffer = 0; buffer < shape.buffer_count; ++buffer) {
    Bytes& copy = keys_and_values_.emplace_back(bytes);
    if (buffer == 0) {
      FillWithNormals({copy.data(), bytes}, type, 2);
    } else {
      std::memcpy(copy.data(), keys_and_values_.front().data(), bytes);
    }
    key_value_buffers_.emplace_back(copy.data(), bytes);
  }
  if (shape.padded) key_lengths_ = PaddedKeyLengths(shape);
  if (shape.weights) weights_ = Bytes(ByteCount(WeightsExtents(shape), type));
}

AttentionOperands& AttentionOperands::Of(const AttentionShape& shape, DataType type) {
  static auto& made =
      *new std::map<std::pair<const AttentionShape*, DataType>, std::unique_ptr<AttentionOperands>>;
  std::unique_ptr<AttentionOperands>& operands = made[{&shape, type}];
  if (operands == nullptr) operands = std::make_unique<AttentionOperands>(shape, type);
  return *operands;
}

kernels::AttentionProblem AttentionOperands::Problem(int buffer) const {
  const std::byte* keys = keys_and_values_[static_cast<size_t>(buffer)].data();
  const std::byte* values = keys + ByteCount(KeyExtents(shape_), type_);
  kernels::AttentionProblem problem;
  problem.query = kernels::DenseView(query_.data(), type_, QueryExtents(shape_));
  problem.key = kernels::DenseView(keys, type_, KeyExtents(shape_));
  problem.value = kernels::DenseView(values, type_, KeyExtents(shape_));
  if (shape_.causal) problem.causal = true;
  problem.key_lengths = key_lengths_;
  return problem;
}

kernels::AttentionOutputs AttentionOperands::Outputs() {
  kernels::AttentionOutputs outputs;
  outputs.output = kernels::DenseView(output_.data(), type_, QueryExtents(shape_));
  if (shape_.weights) {
    outputs.weights = kernels::DenseView(weights_.data(), type_, WeightsExtents(shape_));
  }
  return outputs;
}

}  // namespace attention::benchmark
