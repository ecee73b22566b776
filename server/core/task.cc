#include "server/core/task.h"

#include "kernels/attend.h"
#include "server/core/task_runner.h"

namespace attention::server {

absl::Status Validate(const AnyTask& task) {
  return std::visit([](const auto* kind) { return Validate(*kind); }, task);
}

int64_t ResultBytes(const AnyTask& task) {
  return std::visit([](const auto* kind) { return ResultBytes(*kind); }, task);
}

int64_t ScratchBytes(const AnyTask& task) {
  return std::visit([](const auto* kind) { return ScratchBytes(*kind); }, task);
}

double TaskFlops(const AnyTask& task) {
  return std::visit([](const auto* kind) { return TaskFlops(*kind); }, task);
}

bool RunsInFloat64(const AnyTask& task) {
  const auto* const* attention = std::get_if<const AttentionTask*>(&task);
  return attention != nullptr &&
         kernels::RunsInFloat64(ProblemOf(**attention), (*attention)->options);
}

std::optional<SequenceLengths> SequenceLengthsOf(const AnyTask& task) {
  const auto* const* attention = std::get_if<const AttentionTask*>(&task);
  if (attention == nullptr) return std::nullopt;
  return SequenceLengths{.query_count = (*attention)->query.view.extents[2],
                         .key_count = (*attention)->key.view.extents[2]};
}

absl::StatusOr<AttentionResult> RunTask(const AnyTask& task, const kernels::Execution& execution) {
  return std::visit([&](const auto* kind) { return RunTask(*kind, execution); }, task);
}

}  // namespace attention::server
