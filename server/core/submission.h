// What the engine knows of a task.

#ifndef ATTENTION_SERVER_CORE_SUBMISSION_H_
#define ATTENTION_SERVER_CORE_SUBMISSION_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "server/core/admission.h"
#include "server/core/attention_engine.h"
#include "server/core/clock.h"
#include "server/core/request_context.h"
#include "server/core/service_metrics.h"
#include "server/core/task.h"

namespace attention::server {

// Why a task did not get in, for now.
struct Refusal {
  Rejection reason;
  absl::Status status;
};

// A task on its way through the engine.
struct Submission {
  Submission(Method submitted_method, const AnyTask& submitted_task,
             std::shared_ptr<const RequestContext> submitted_context)
      : method(submitted_method), task(submitted_task), context(std::move(submitted_context)) {}

  const Method method;
  const AnyTask task;
  const std::shared_ptr<const RequestContext> context;
  AttentionEngine::Done done;
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
