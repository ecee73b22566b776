// Turns tasks into answers: admission, queue, projections, attention.

#ifndef ATTENTION_SERVER_CORE_ATTENTION_ENGINE_H_
#define ATTENTION_SERVER_CORE_ATTENTION_ENGINE_H_

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "server/core/admission.h"
#include "server/core/clock.h"
#include "server/core/compute_pool.h"
#include "server/core/log.h"
#include "server/core/request_context.h"
#include "server/core/request_limits.h"
#include "server/core/service_metrics.h"
#include "server/core/task.h"
#include "server/core/warm_up.h"

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

// Reports to `metrics` the rejections kOverLimit, kBytesInFlight, kQueueFull and kDraining, and
// kInvalid for what Validate refuses; every stopped request; queue depth and wait; the time that
// each task had compute threads; for each answered task its computation and, of attention, its
// sequence lengths. The rest is the transport's to report.
//
// Thread safety: all methods may be called from any thread, but the destructor.
class AttentionEngine {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<AttentionAnswer>, const StageTimes&) &&>;

  // `clock`, `metrics` and `log` must outlive the engine. Without a log, the details of faults are
  // lost.
  AttentionEngine(const EngineOptions& options, const Clock& clock, ServiceMetrics& metrics,
                  Log* log = nullptr);

  // Waits for accepted tasks.
  ~AttentionEngine();

  // The first gate: reserves the request's own bytes, before it is parsed. Returns kInvalidArgument
  // for a request over max_request_bytes or larger than the whole budget, kResourceExhausted while
  // the budget is full, kUnavailable when draining.
  [[nodiscard]] absl::StatusOr<ByteBudget::Permit> AdmitRequest(int64_t request_bytes);

  // Bytes that the request needs beside its own, as numbers of another type; kInvalidArgument if
  // both together are more than the whole budget, kResourceExhausted while that is full.
  [[nodiscard]] absl::StatusOr<ByteBudget::Permit> ReserveConversion(int64_t converted_bytes,
                                                                     int64_t request_bytes);

  // The second gate and the work. `held_bytes` is what the request has of the budget so far. Checks
  // deadline and cancellation (kDeadlineExceeded, kCancelled) and the static limits, among them
  // that all its bytes together fit the budget (kInvalidArgument), reserves scratch and answer and
  // a place in the queue (kResourceExhausted), computes on a compute thread, checking deadline and
  // cancellation at dequeue and between tiles, and calls `done` exactly once: from a compute
  // thread, or before returning if the task is refused. Waiting tasks that nobody waits for any
  // more hold nobody up: before another is refused for want of room their `done` is called, from
  // its thread. Never throws; an allocation that fails is kResourceExhausted. A fault of ours is
  // kInternal with the request id; its detail goes to the log. kUnavailable when draining. What
  // `task` points to, `context` and whatever `done` owns live until `done` has been called. `done`
  // must not throw and must not destroy the engine.
  void Submit(Method method, const AnyTask& task, std::shared_ptr<const RequestContext> context,
              int64_t held_bytes, Done done);

  // See warm_up.h. Tasks that are submitted meanwhile wait until it is over.
  [[nodiscard]] WarmUpReport WarmUp(const WarmUpOptions& options,
                                    kernels::Precision default_precision);

  // From now on everything new is refused; what was accepted finishes. For good; may be called
  // again.
  void BeginDrain();

  // For tests: waits until no accepted task is unfinished, whether or not draining; false if that
  // is not so by `deadline`, which is of the machine's monotonic clock. A finished task's `done`
  // has returned and its captures are gone.
  [[nodiscard]] bool WaitUntilIdle(TimePoint deadline);

  // What is said where an allocation failed; copying it takes no memory.
  [[nodiscard]] const absl::Status& out_of_memory() const;

  [[nodiscard]] const EngineOptions& options() const;
  [[nodiscard]] int64_t queue_depth() const;

  // When a caller who is refused now may try again, see retry_pushback.h.
  [[nodiscard]] int64_t RetryPushbackMilliseconds();

  [[nodiscard]] int64_t bytes_in_flight() const;  // of max_bytes_in_flight

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_ATTENTION_ENGINE_H_
