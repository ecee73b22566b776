#include "server/core/task_runner.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "kernels/projection.h"
#include "kernels/tensor_view.h"
#include "server/core/append_row.h"
#include "server/core/counting_executor.h"
#include "server/core/join_rows.h"
#include "server/core/packed_strides.h"
#include "server/core/ragged_runner.h"
#include "server/core/result_arrays.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

using kernels::Extents;
using kernels::MutableTensorView;
using kernels::TensorView;

int64_t RowCount(const Extents& heads) { return heads[0] * heads[2]; }

size_t ByteCount(const Extents& extents, kernels::DataType type) {
  return static_cast<size_t>(kernels::ElementCount(extents)) * kernels::ElementBytes(type);
}

MutableTensorView PackedView(void* data, kernels::DataType type, const Extents& heads) {
  return {data, type, heads, PackedStrides(heads)};
}

// The memory of a task's stages, allocated at once.
struct Arrays {
  explicit Arrays(const AttentionTask& task);

  Buffer query, key, value;  // empty if ready or if another's memory serves
  Buffer heads;              // attended, if they are projected afterwards
  AttentionResult result;

  // Statistics of a ragged batch before they are arranged, those of each sequence together.
  AttentionResult by_sequence;
};

bool IsStatistic(const ResultArray& array) { return array.member != &AttentionResult::output; }

Arrays::Arrays(const AttentionTask& task) {
  const auto made = [&task](const HeadsSource& source) {
    const bool needs_none = source.ready() || IsRepeated(task, source);
    return needs_none ? Buffer() : Buffer(ByteCount(source.view.extents, task.type));
  };
  query = made(task.query);
  key = made(task.key);
  value = made(task.value);
  if (task.output_projection.has_value()) {
    const Extents& query_extents = task.query.view.extents;
    heads = Buffer(ByteCount(
        {query_extents[0], query_extents[1], query_extents[2], task.value.view.extents[3]},
        task.type));
  }
  for (const ResultArray& array : ResultArraysOf(task)) {
    if (!array.wanted) continue;
    const auto bytes =
        static_cast<size_t>(kernels::ElementCount(array.extents) * array.element_bytes);
    result.*array.member = Buffer(bytes);
    if (task.ragged.has_value() && IsStatistic(array)) by_sequence.*array.member = Buffer(bytes);
  }
}

// Linear maps of one input, computed together.
struct SharedInput {
  const void* embeddings = nullptr;
  int64_t row_count = 0;
  int64_t input_width = 0;
  std::vector<kernels::ProjectionMap> maps;
  std::vector<kernels::ProjectedRows> outputs;

  void Add(const LinearMap& map, void* output) {
    maps.push_back({.output_width = map.output_width, .weight = map.weight, .bias = map.bias});
    outputs.push_back({.data = output, .row_stride = map.output_width});
  }
};

absl::Status Project(const AttentionTask& task, const SharedInput& input,
                     const kernels::Execution& execution) {
  if (kernels::StopRequested(execution)) return absl::CancelledError("stopped on request");
  const kernels::ProjectionMaps maps = {.type = task.type,
                                        .precision = task.options.precision,
                                        .input_width = input.input_width,
                                        .maps = input.maps};
  const kernels::ProjectionRows rows = {.row_count = input.row_count,
                                        .input = input.embeddings,
                                        .input_stride = input.input_width,
                                        .outputs = input.outputs};
  return kernels::Project(maps, rows, execution).status();
}

// Adds the source's map to those of the same input, and views its heads in `buffer`.
void PlanHeads(const HeadsSource& source, const Buffer& buffer, std::vector<SharedInput>& inputs,
               TensorView& view) {
  if (!source.projection.has_value()) return;
  const int64_t row_count = view.extents[0] * source.given_row_count();
  const int64_t input_width = source.projection->input_width;
  auto input = std::find_if(inputs.begin(), inputs.end(), [&](const SharedInput& other) {
    return other.embeddings == source.embeddings && other.row_count == row_count &&
           other.input_width == input_width;
  });
  if (input == inputs.end()) {
    inputs.push_back({.embeddings = source.embeddings,
                      .row_count = row_count,
                      .input_width = input_width,
                      .maps = {},
                      .outputs = {}});
    input = inputs.end() - 1;
  }
  input->Add(*source.projection, buffer.data());
  view = PackedView(buffer.data(), view.type, view.extents);
}

absl::Status ProjectOperands(const AttentionTask& task, const Arrays& arrays,
                             const kernels::Execution& execution,
                             kernels::AttentionProblem& problem) {
  std::vector<SharedInput> inputs;
  PlanHeads(task.query, arrays.query, inputs, problem.query);
  if (SameProjectedHeads(task.key, task.query)) {
    problem.key = problem.query;
  } else {
    PlanHeads(task.key, arrays.key, inputs, problem.key);
  }
  if (SameProjectedHeads(task.value, task.query)) {
    problem.value = problem.query;
  } else if (SameProjectedHeads(task.value, task.key)) {
    problem.value = problem.key;
  } else {
    PlanHeads(task.value, arrays.value, inputs, problem.value);
  }
  for (const SharedInput& input : inputs) {
    ATTENTION_RETURN_IF_ERROR(Project(task, input, execution));
  }
  return absl::OkStatus();
}

void JoinOperands(const AttentionTask& task, const Arrays& arrays,
                  const kernels::Execution& execution, kernels::AttentionProblem& problem) {
  std::vector<RowsToJoin> joins;
  const auto plan = [&](const HeadsSource& source, const Buffer& buffer, TensorView& view) {
    if (!source.joined.has_value()) return;
    const MutableTensorView rows = kernels::DenseView(buffer.data(), task.type, view.extents);
    joins.push_back({.source = *source.joined, .rows = rows});
    view = rows;
  };
  plan(task.query, arrays.query, problem.query);
  plan(task.key, arrays.key, problem.key);
  plan(task.value, arrays.value, problem.value);
  JoinRows(joins, execution);
}

// The last step of a source's way into `buffer`, unless another one's memory serves.
void AppendGivenRow(const HeadsSource& source, const Buffer& buffer, TensorView& view) {
  if (source.appended == nullptr) return;
  if (source.projection.has_value() && buffer.data() == nullptr) return;
  const Extents& heads = view.extents;
  const AppendedRow appended = {
      .row = source.appended,
      .row_bytes = static_cast<size_t>(heads[1] * heads[3]) * kernels::ElementBytes(view.type),
      .batch = heads[0],
      .row_count = source.given_row_count()};
  AppendRow(appended, source.projection.has_value() ? buffer.data() : source.view.data,
            buffer.data());
  view = PackedView(buffer.data(), view.type, heads);
}

kernels::AttentionOutputs OutputsIn(const AttentionTask& task, const Arrays& arrays) {
  const Buffer& heads = task.output_projection.has_value() ? arrays.heads : arrays.result.output;
  const AttentionResult& others = task.ragged.has_value() ? arrays.by_sequence : arrays.result;
  return OutputsOf(task, heads.data(),
                   [&others](ResultMember member) { return (others.*member).data(); });
}

void ArrangeStatistics(const AttentionTask& task, const Arrays& arrays) {
  for (const ResultArray& array : ResultArraysOf(task)) {
    if (!array.wanted || !IsStatistic(array)) continue;
    const bool of_keys = array.member == &AttentionResult::key_mass;
    const int64_t row_bytes = array.element_bytes * (of_keys ? 1 : array.extents[3]);
    ArrangeByHead((arrays.by_sequence.*array.member).data(),
                  of_keys ? task.ragged->key_starts : task.ragged->query_starts, array.extents[1],
                  row_bytes, (arrays.result.*array.member).data());
  }
}

absl::StatusOr<kernels::AttentionReport> Attend(const AttentionTask& task, const Arrays& arrays,
                                                const kernels::AttentionProblem& problem,
                                                const kernels::Execution& execution) {
  const kernels::AttentionOutputs outputs = OutputsIn(task, arrays);
  if (!task.ragged.has_value()) {
    return kernels::Attend(problem, task.options, outputs, execution);
  }
  absl::StatusOr<kernels::AttentionReport> report =
      AttendToSequences(problem, *task.ragged, task.options, outputs, execution);
  if (report.ok()) ArrangeStatistics(task, arrays);
  return report;
}

absl::Status ProjectOutput(const AttentionTask& task, const Arrays& arrays,
                           const kernels::Execution& execution) {
  if (!task.output_projection.has_value()) return absl::OkStatus();
  SharedInput input = {.embeddings = arrays.heads.data(),
                       .row_count = RowCount(task.query.view.extents),
                       .input_width = task.output_projection->input_width,
                       .maps = {},
                       .outputs = {}};
  input.Add(*task.output_projection, arrays.result.output.data());
  return Project(task, input, execution);
}

}  // namespace

absl::StatusOr<AttentionResult> RunTask(const AttentionTask& task,
                                        const kernels::Execution& execution) {
  CountingExecutor executor(execution.executor);
  const kernels::Execution counted = {.executor = &executor, .stop = execution.stop};
  Arrays arrays(task);
  kernels::AttentionProblem problem = ProblemOf(task);
  ATTENTION_RETURN_IF_ERROR(ProjectOperands(task, arrays, counted, problem));
  JoinOperands(task, arrays, counted, problem);
  AppendGivenRow(task.key, arrays.key, problem.key);
  AppendGivenRow(task.value, arrays.value, problem.value);
  if (kernels::StopRequested(counted)) return absl::CancelledError("stopped on request");
  absl::StatusOr<kernels::AttentionReport> report = Attend(task, arrays, problem, counted);
  if (!report.ok()) return report.status();
  ATTENTION_RETURN_IF_ERROR(ProjectOutput(task, arrays, counted));
  if (task.return_present) {
    arrays.result.present_key = std::move(arrays.key);
    arrays.result.present_value = std::move(arrays.value);
  }
  arrays.result.report = *report;
  arrays.result.report.thread_count = std::max(report->thread_count, executor.most_threads());
  return std::move(arrays.result);
}

}  // namespace attention::server
