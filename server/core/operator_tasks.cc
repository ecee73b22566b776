#include "server/core/operator_tasks.h"

#include <algorithm>
#include <utility>

#include "kernels/tensor_view.h"
#include "server/core/result_arrays.h"

namespace attention::server {
namespace {

using kernels::DataType;
using kernels::Extents;

// As the kernels validate, before anything is allocated: without an overflow.
int64_t ByteCount(const Extents& extents, DataType type) {
  return kernels::ElementCount(extents) * static_cast<int64_t>(kernels::ElementBytes(type));
}

double Product(const Extents& extents) {
  double product = 1;
  for (const int64_t extent : extents) product *= static_cast<double>(extent);
  return product;
}

Extents LogSumExpExtents(const MergeTask& task) {
  const Extents& extents = task.states.front().output.extents;
  return {extents[0], extents[1], extents[2], 1};
}

using BytesOfElement = int64_t (*)(int64_t element_bytes, bool sends_floats);

int64_t AnswerBytes(const Extents& extents, DataType type, bool sends_floats,
                    BytesOfElement bytes_of_element) {
  const auto element_bytes = static_cast<int64_t>(kernels::ElementBytes(type));
  return ByteCount(extents, type) / element_bytes * bytes_of_element(element_bytes, sends_floats);
}

int64_t AnswerBytes(const RotaryTask& task, BytesOfElement bytes_of_element) {
  return AnswerBytes(task.input.extents, task.input.type, task.sends_floats, bytes_of_element);
}

int64_t AnswerBytes(const MergeTask& task, BytesOfElement bytes_of_element) {
  const kernels::AttentionState& first = task.states.front();
  return AnswerBytes(first.output.extents, first.output.type, task.sends_floats, bytes_of_element) +
         AnswerBytes(LogSumExpExtents(task), first.log_sum_exp.type, task.sends_floats,
                     bytes_of_element);
}

kernels::AttentionReport ReportOf(std::string_view precision, int thread_count) {
  return {.implementation = kElementwise, .precision = precision, .thread_count = thread_count};
}

}  // namespace

absl::Status Validate(const RotaryTask& task) {
  return kernels::ValidateRotaryTables(task.tables, task.input);
}

int64_t ResultBytes(const RotaryTask& task) { return AnswerBytes(task, HeldElementBytes); }
int64_t SentBytes(const RotaryTask& task) { return AnswerBytes(task, SentElementBytes); }

int64_t ScratchBytes(const RotaryTask& /*task*/, int /*thread_count*/) { return 0; }

double TaskFlops(const RotaryTask& task) {
  constexpr double kFlopsOfAPair = 6;
  Extents pairs = task.input.extents;
  pairs[3] = task.tables.cosines.extents[3];
  return kFlopsOfAPair * Product(pairs);
}

absl::StatusOr<AttentionResult> RunTask(const RotaryTask& task,
                                        const kernels::Execution& execution) {
  AttentionResult result;
  result.output = Buffer(static_cast<size_t>(ByteCount(task.input.extents, task.input.type)));
  const kernels::MutableTensorView output = {result.output.data(), task.input.type,
                                             task.input.extents, task.input.strides};
  const absl::StatusOr<int> threads =
      kernels::ApplyRotaryTables(task.tables, task.input, output, execution);
  if (!threads.ok()) return threads.status();
  result.report = ReportOf(task.input.type == DataType::kF64 ? "f64" : "f32", *threads);
  return result;
}

absl::Status Validate(const MergeTask& task) {
  return kernels::ValidateAttentionStates(task.states);
}

int64_t ResultBytes(const MergeTask& task) { return AnswerBytes(task, HeldElementBytes); }
int64_t SentBytes(const MergeTask& task) { return AnswerBytes(task, SentElementBytes); }

int64_t ScratchBytes(const MergeTask& /*task*/, int /*thread_count*/) { return 0; }

double TaskFlops(const MergeTask& task) {
  constexpr double kFlopsOfANumber = 2;
  return kFlopsOfANumber * Product(task.states.front().output.extents) *
         static_cast<double>(task.states.size());
}

absl::StatusOr<AttentionResult> RunTask(const MergeTask& task,
                                        const kernels::Execution& execution) {
  const kernels::AttentionState& first = task.states.front();
  const Extents& extents = first.output.extents;
  const Extents log_sum_exp_extents = LogSumExpExtents(task);
  AttentionResult result;
  result.output = Buffer(static_cast<size_t>(ByteCount(extents, first.output.type)));
  result.log_sum_exp =
      Buffer(static_cast<size_t>(ByteCount(log_sum_exp_extents, first.log_sum_exp.type)));
  const kernels::MergedState merged = {
      kernels::DenseView(result.output.data(), first.output.type, extents),
      kernels::DenseView(result.log_sum_exp.data(), first.log_sum_exp.type, log_sum_exp_extents)};
  const absl::StatusOr<int> threads = kernels::MergeAttentionStates(task.states, merged, execution);
  if (!threads.ok()) return threads.status();
  result.report = ReportOf("f64", *threads);
  return result;
}

}  // namespace attention::server
