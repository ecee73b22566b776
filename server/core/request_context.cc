#include "server/core/request_context.h"

namespace attention::server {

void RequestContext::Cancel() {
  if (!DeadlinePassed()) cancelled_.store(true, std::memory_order_relaxed);
}

bool RequestContext::StopRequested() const {
  return cancelled_.load(std::memory_order_relaxed) || DeadlinePassed();
}

absl::Status RequestContext::StopStatus() const {
  if (cancelled_.load(std::memory_order_relaxed)) {
    return absl::CancelledError("the caller cancelled the request");
  }
  if (DeadlinePassed()) return absl::DeadlineExceededError("the request's deadline has passed");
  return absl::OkStatus();
}

bool RequestContext::DeadlinePassed() const {
  return deadline_ != TimePoint::max() && clock_.Now() >= deadline_;
}

}  // namespace attention::server
