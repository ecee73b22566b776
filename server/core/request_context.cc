#include "server/core/request_context.h"

namespace attention::server {

// Made before they are needed: copying a status takes no memory.
struct RequestContext::StopStatuses {
  const absl::Status cancelled = absl::CancelledError(
      "the call was cancelled: by its caller, by gRPC, or by the end of a drain");
  // A caller with a deadline of its own does not wait to be told.
  const absl::Status deadline_passed = absl::DeadlineExceededError(
      "the request's deadline, or the longest that the server allows (--max-deadline-seconds), has "
      "passed");
};

const RequestContext::StopStatuses& RequestContext::MadeStatuses() {
  static const StopStatuses& statuses = *new StopStatuses;
  return statuses;
}

void RequestContext::Cancel() {
  if (!DeadlinePassed()) cancelled_.store(true, std::memory_order_relaxed);
}

bool RequestContext::StopRequested() const {
  return cancelled_.load(std::memory_order_relaxed) || DeadlinePassed();
}

absl::Status RequestContext::StopStatus() const {
  if (cancelled_.load(std::memory_order_relaxed)) return statuses_.cancelled;
  if (DeadlinePassed()) return statuses_.deadline_passed;
  return absl::OkStatus();
}

bool RequestContext::DeadlinePassed() const {
  return deadline_ != TimePoint::max() && clock_.Now() >= deadline_;
}

}  // namespace attention::server
