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

int64_t SentBytes(const AnyTask& task) {
  return std::visit([](const auto* kind) { return SentBytes(*kind); }, task);
}

int64_t ScratchBytes(const AnyTask& task, int thread_count) {
  return std::visit([=](const auto* kind) { return ScratchBytes(*kind, thread_count); }, task);
}

double TaskFlops(const AnyTask& task) {
  return std::visit([](const auto* kind) { return TaskFlops(*kind); }, task);
}

double Float64Flops(const AnyTask& task) {
  const auto* const* attention = std::get_if<const AttentionTask*>(&task);
  if (attention == nullptr) return 0;
  double pair_count = 0;
  bool in_float64 = false;
  for (int64_t index = 0; index < ProblemCount(**attention); ++index) {
    const kernels::AttentionProblem problem = ProblemOf(**attention, index);
    const kernels::Extents& query = problem.query.extents;
    pair_count += static_cast<double>(query[0]) * static_cast<double>(query[1]) *
                  static_cast<double>(query[2]) * static_cast<double>(problem.key.extents[2]);
    in_float64 = in_float64 || kernels::RunsInFloat64(problem, (*attention)->options);
  }
  return in_float64 ? TaskFlops(task) + kFloat64FlopsPerPair * pair_count : 0;
}

void VisitSequenceLengths(const AnyTask& task,
                          absl::FunctionRef<void(int64_t query_count, int64_t key_count)> visit) {
  const auto* const* attention = std::get_if<const AttentionTask*>(&task);
  if (attention == nullptr) return;
  for (int64_t index = 0; index < ProblemCount(**attention); ++index) {
    const kernels::AttentionProblem problem = ProblemOf(**attention, index);
    visit(problem.query.extents[2], problem.key.extents[2]);
  }
}

absl::StatusOr<AttentionResult> RunTask(const AnyTask& task, const kernels::Execution& execution) {
  return std::visit([&](const auto* kind) { return RunTask(*kind, execution); }, task);
}

}  // namespace attention::server
