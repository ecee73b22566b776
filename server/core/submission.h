// A task on its way through the engine, and what comes out.

#ifndef ATTENTION_SERVER_CORE_SUBMISSION_H_
#define ATTENTION_SERVER_CORE_SUBMISSION_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/core/byte_budget.h"
#include "server/core/clock.h"
#include "server/core/request_context.h"
#include "server/core/service_metrics.h"
#include "server/core/task.h"

namespace attention::server {

// How long the stages of a request took, also of one that was stopped or failed in them.
struct StageTimes {
  int64_t queue_ns = 0;
  int64_t compute_ns = 0;
};

struct AttentionAnswer {
  AttentionResult result;

  // The answer's share of the byte budget: keep it as long as the result's memory. Must not outlive
  // the engine.
  ByteBudget::Permit permit;
};

// Gets the answer of a task, or why there is none.
using AnswerCallback =
    absl::AnyInvocable<void(absl::StatusOr<AttentionAnswer>, const StageTimes&) &&>;

// Why a task did not get in, for now.
struct Refusal {
  Rejection reason;
  absl::Status status;
};

// What the engine knows of a task.
struct Submission {
  Submission(Method submitted_method, const AnyTask& submitted_task,
             std::shared_ptr<const RequestContext> submitted_context)
      : method(submitted_method), task(submitted_task), context(std::move(submitted_context)) {}

  const Method method;
  const AnyTask task;
  const std::shared_ptr<const RequestContext> context;
  AnswerCallback done;
  double flops = 0;
  TimePoint submitted;
  TimePoint started;
  StageTimes times;
  bool computing = false;
  ByteBudget::Permit answer_permit;
  ByteBudget::Permit scratch_permit;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_SUBMISSION_H_
