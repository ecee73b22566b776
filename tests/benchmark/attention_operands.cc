#include "tests/benchmark/attention_operands.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <utility>

#include "tests/benchmark/normals.h"
#include "tests/support/random.h"

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

constexpr int64_t kBuckets = 32;
constexpr int64_t kTopCount = 8;

}  // namespace

kernels::AttentionOptions Options(const AttentionShape& shape) {
  kernels::AttentionOptions options;
  if (shape.option == TimedOption::kSoftcap) options.softcap = 50.0;
  return options;
}

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
  MakeOptions();
}

void AttentionOperands::MakeOptions() {
  constexpr int64_t kDocuments = 4;
  for (int64_t head = 0; head < shape_.query_head_count; ++head) {
    const double steps = 8.0 * static_cast<double>(head + 1);
    slopes_.push_back(std::exp2(-steps / static_cast<double>(shape_.query_head_count)));
    sinks_.push_back(0.5);
  }
  test::Random random(4);
  for (int64_t i = 0; i < kBuckets * shape_.query_head_count; ++i) {
    bias_table_.push_back(random.Normal());
  }
  const bool scattered = shape_.option == TimedOption::kScatteredSegments;
  for (int64_t i = 0; i < shape_.batch * shape_.key_count; ++i) {
    const int64_t key = i % shape_.key_count;
    const int64_t document = key * kDocuments / shape_.key_count;
    segments_.push_back(static_cast<int32_t>(scattered ? random.Index(kDocuments) : document));
  }
  const bool masked =
      shape_.option == TimedOption::kBooleanMask || shape_.option == TimedOption::kAdditiveMask;
  for (int64_t pair = 0; masked && pair < shape_.query_count * shape_.key_count; ++pair) {
    const bool visible = random.Index(4) != 0;
    boolean_mask_.push_back(visible ? 1 : 0);
    additive_mask_.push_back(visible ? static_cast<float>(random.Normal())
                                     : -std::numeric_limits<float>::infinity());
  }
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
  switch (shape_.option) {
    case TimedOption::kWindow:
      problem.left_window = problem.right_window = 256;
      break;
    case TimedOption::kAlibi:
      problem.alibi.slopes = slopes_;
      break;
    case TimedOption::kBucketedBias:
      problem.bucketed_bias = {.table = bias_table_, .bucket_count = kBuckets};
      break;
    case TimedOption::kSinks:
      problem.sinks = sinks_;
      break;
    case TimedOption::kSegments:
    case TimedOption::kScatteredSegments:
      problem.query_segments = problem.key_segments = segments_;  // as many queries as keys
      break;
    case TimedOption::kBooleanMask:
      problem.boolean_mask = {boolean_mask_.data(),
                              DataType::kBool,
                              WeightsExtents(shape_),
                              {0, 0, shape_.key_count, 1}};
      break;
    case TimedOption::kAdditiveMask:
      problem.additive_mask = {additive_mask_.data(),
                               DataType::kF32,
                               WeightsExtents(shape_),
                               {0, 0, shape_.key_count, 1}};
      break;
    case TimedOption::kRotary:
      problem.rotary.emplace();
      break;
    default:
      break;
  }
  return problem;
}

kernels::AttentionOutputs AttentionOperands::Outputs() {
  kernels::AttentionOutputs outputs;
  outputs.output = kernels::DenseView(output_.data(), type_, QueryExtents(shape_));
  if (shape_.weights) {
    outputs.weights = kernels::DenseView(weights_.data(), type_, WeightsExtents(shape_));
  }
  AskForStatistics(outputs);
  return outputs;
}

kernels::AttentionOutputs AttentionOperands::UnwrittenOutputs() {
  const kernels::AttentionOutputs outputs = Outputs();
  for (const Bytes* bytes : {&output_, &weights_}) {
    if (bytes->size() > 0) std::memset(bytes->data(), 0xFF, bytes->size());
  }
  std::ranges::fill(statistics_, std::numeric_limits<float>::quiet_NaN());
  std::ranges::fill(top_keys_, -1);
  return outputs;
}

double AttentionOperands::Flops() const {
  return VisibleShare() * kernels::EstimateFlops(Problem());
}

double AttentionOperands::VisibleShare() const {
  const kernels::AttentionProblem problem = Problem();
  const auto total = static_cast<double>(shape_.query_count * shape_.key_count);
  if (!boolean_mask_.empty()) {  // the additive mask hides the same pairs
    return static_cast<double>(std::ranges::count(boolean_mask_, 1)) / total;
  }
  if (problem.key_segments.empty()) return 1;
  double visible = 0;
  for (const int32_t segment : problem.query_segments) {
    visible += static_cast<double>(std::ranges::count(problem.key_segments, segment));
  }
  return visible / total;
}

void AttentionOperands::AskForStatistics(kernels::AttentionOutputs& outputs) {
  const bool all = shape_.option == TimedOption::kStatistics;
  if (!all && shape_.option != TimedOption::kLogSumExp) return;
  const int64_t rows = shape_.batch * shape_.query_head_count * shape_.query_count;
  const int64_t keys = shape_.batch * shape_.query_head_count * shape_.key_count;
  statistics_.resize(static_cast<size_t>(rows * (3 + kTopCount) + keys));
  top_keys_.resize(static_cast<size_t>(rows * kTopCount));
  float* next = statistics_.data();
  const auto take = [&](int64_t axis_rows, int64_t columns) {
    const Extents extents = {shape_.batch, shape_.query_head_count, axis_rows, columns};
    float* const data = next;
    next += kernels::ElementCount(extents);
    return kernels::DenseView(data, DataType::kF32, extents);
  };
  outputs.log_sum_exp = take(shape_.query_count, 1);
  if (!all) return;
  outputs.entropy = take(shape_.query_count, 1);
  outputs.maximum_weight = take(shape_.query_count, 1);
  outputs.top_weights = {
      .count = kTopCount, .weights = take(shape_.query_count, kTopCount), .keys = top_keys_.data()};
  outputs.key_mass = take(1, shape_.key_count);
}

}  // namespace attention::benchmark
