#include "server/core/result_arrays.h"

#include <cstddef>

#include "server/core/packed_strides.h"

namespace attention::server {
namespace {

using kernels::DataType;
using kernels::Extents;

// The extents of everything that one attention yields.
struct AttendedExtents {
  explicit AttendedExtents(const AttentionTask& task)
      : batch(task.query.view.extents[0]),
        head_count(task.query.view.extents[1]),
        query_count(task.query.view.extents[2]),
        key_count(task.key.view.extents[2]),
        value_width(task.value.view.extents[3]),
        top_weight_count(task.statistics.top_weight_count) {}

  [[nodiscard]] Extents heads() const { return {batch, head_count, query_count, value_width}; }
  [[nodiscard]] Extents matrix() const { return {batch, head_count, query_count, key_count}; }
  [[nodiscard]] Extents rows() const { return {batch, head_count, query_count, 1}; }
  [[nodiscard]] Extents keys() const { return {batch, head_count, 1, key_count}; }
  [[nodiscard]] Extents top() const { return {batch, head_count, query_count, top_weight_count}; }

  int64_t batch, head_count, query_count, key_count, value_width, top_weight_count;
};

bool WantsScores(const AttentionTask& task) {
  return task.options.scores != kernels::ScoresOutput::kNone;
}

}  // namespace

DataType StatisticsType(DataType type) {
  return type == DataType::kF64 ? DataType::kF64 : DataType::kF32;
}

std::array<ResultArray, kResultArrayCount> ResultArraysOf(const AttentionTask& task) {
  const AttendedExtents extents(task);
  const Statistics& wanted = task.statistics;
  const auto bytes = static_cast<int64_t>(kernels::ElementBytes(task.type));
  const auto statistic_bytes =
      static_cast<int64_t>(kernels::ElementBytes(StatisticsType(task.type)));
  constexpr auto kKeyBytes = static_cast<int64_t>(sizeof(int32_t));
  Extents output = extents.heads();
  if (task.output_projection.has_value()) {
    output = {extents.batch, 1, extents.query_count, task.output_projection->output_width};
  }
  using Result = AttentionResult;
  return {{
      {&Result::output, true, output, bytes},
      {&Result::weights, task.return_weights, extents.matrix(), bytes},
      {&Result::scores, WantsScores(task), extents.matrix(), bytes},
      {&Result::log_sum_exp, wanted.log_sum_exp, extents.rows(), statistic_bytes},
      {&Result::entropy, wanted.entropy, extents.rows(), statistic_bytes},
      {&Result::maximum_weight, wanted.maximum_weight, extents.rows(), statistic_bytes},
      {&Result::key_mass, wanted.key_mass, extents.keys(), statistic_bytes},
      {&Result::top_weights, wanted.top_weight_count > 0, extents.top(), statistic_bytes},
      {&Result::top_keys, wanted.top_weight_count > 0, extents.top(), kKeyBytes},
  }};
}

kernels::AttentionOutputs OutputsOf(const AttentionTask& task, void* heads,
                                    absl::FunctionRef<void*(ResultMember)> memory_of) {
  const AttendedExtents extents(task);
  const Statistics& wanted = task.statistics;
  const auto view = [&](ResultMember member, DataType type, const Extents& array_extents) {
    return kernels::DenseView(memory_of(member), type, array_extents);
  };
  using Result = AttentionResult;
  kernels::AttentionOutputs outputs;
  outputs.output = kernels::DenseView(heads, task.type, extents.heads());
  if (task.output_layout == OutputLayout::kSequenceFirst) {
    outputs.output.strides = PackedStrides(extents.heads());
  }
  if (task.return_weights) {
    outputs.weights = view(&Result::weights, task.type, extents.matrix());
  }
  if (WantsScores(task)) outputs.scores = view(&Result::scores, task.type, extents.matrix());

  const DataType type = StatisticsType(task.type);
  if (wanted.log_sum_exp) outputs.log_sum_exp = view(&Result::log_sum_exp, type, extents.rows());
  if (wanted.entropy) outputs.entropy = view(&Result::entropy, type, extents.rows());
  if (wanted.maximum_weight) {
    outputs.maximum_weight = view(&Result::maximum_weight, type, extents.rows());
  }
  if (wanted.key_mass) outputs.key_mass = view(&Result::key_mass, type, extents.keys());
  if (wanted.top_weight_count > 0) {
    outputs.top_weights = {.count = wanted.top_weight_count,
                           .weights = view(&Result::top_weights, type, extents.top()),
                           .keys = static_cast<int32_t*>(memory_of(&Result::top_keys))};
  }
  return outputs;
}

kernels::AttentionOutputs WantedOutputs(const AttentionTask& task) {
  return OutputsOf(task, NotYet(), [](ResultMember) { return NotYet(); });
}

void* NotYet() {
  alignas(64) static std::byte not_yet[64];
  return not_yet;
}

}  // namespace attention::server
