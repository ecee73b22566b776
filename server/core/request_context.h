// One call as the service sees it: who asked, until when, and whether anybody still waits.

#ifndef ATTENTION_SERVER_CORE_REQUEST_CONTEXT_H_
#define ATTENTION_SERVER_CORE_REQUEST_CONTEXT_H_

#include <atomic>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "kernels/execution.h"
#include "server/core/clock.h"

namespace attention::server {

// Shared by the transport, which cancels it, and the compute threads, which ask between tiles
// whether to go on. Once it says stop it never says go again. Thread safety: all methods may be
// called from any thread.
class RequestContext final : public kernels::StopSignal {
 public:
  // `clock` must outlive the context. A deadline of TimePoint::max() never passes.
  RequestContext(std::string request_id, TimePoint deadline, const Clock& clock)
      : request_id_(std::move(request_id)),
        deadline_(deadline),
        arrival_(clock.Now()),
        clock_(clock) {}

  // Without effect once the deadline has passed: a transport that cancels every call whose time is
  // up does not turn it into one that its caller gave up.
  void Cancel();

  [[nodiscard]] bool StopRequested() const override;

  // OK; kCancelled after Cancel; kDeadlineExceeded once the deadline has passed. The earlier one
  // counts. Takes no memory.
  [[nodiscard]] absl::Status StopStatus() const;

  [[nodiscard]] const std::string& request_id() const { return request_id_; }
  [[nodiscard]] TimePoint deadline() const { return deadline_; }
  [[nodiscard]] TimePoint arrival() const { return arrival_; }

 private:
  struct StopStatuses;
  [[nodiscard]] static const StopStatuses& MadeStatuses();
  [[nodiscard]] bool DeadlinePassed() const;

  const StopStatuses& statuses_ = MadeStatuses();

  const std::string request_id_;
  const TimePoint deadline_;
  const TimePoint arrival_;
  const Clock& clock_;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_REQUEST_CONTEXT_H_
