// Turns tasks into answers: admission, queue, projections, attention.

#ifndef ATTENTION_SERVER_CORE_ATTENTION_ENGINE_H_
#define ATTENTION_SERVER_CORE_ATTENTION_ENGINE_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/core/byte_budget.h"
#include "server/core/clock.h"
#include "server/core/compute_pool.h"
#include "server/core/log.h"
#include "server/core/request_context.h"
#include "server/core/request_limits.h"
#include "server/core/retry_pushback.h"
#include "server/core/service_metrics.h"
#include "server/core/sharing_queue.h"
#include "server/core/submission.h"
#include "server/core/task.h"
#include "server/core/task_gate.h"
#include "server/core/warm_up.h"

namespace attention::server {

// Reports to `metrics` the rejections kOverLimit, kBytesInFlight, kQueueFull and kDraining, and
// kInvalid for what Validate refuses; every stopped request; queue depth and wait; the time that
// each task had compute threads; for each answered task its computation and, of attention, its
// sequence lengths. The rest is the transport's to report.
//
// Thread safety: all methods may be called from any thread, but the destructor.
class AttentionEngine {
 public:
  // `clock`, `metrics` and `log` must outlive the engine. Without a log, the details of faults are
  // lost.
  AttentionEngine(const EngineOptions& options, const Clock& clock, ServiceMetrics& metrics,
                  Log* log = nullptr);

  // Waits for accepted tasks.
  ~AttentionEngine() = default;

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
  // thread, or before returning if the task is refused. Before it refuses a task for want of room,
  // it ends waiting tasks whose caller has gone; their `done` is called from this thread. Never
  // throws; an allocation that fails is kResourceExhausted. A fault of ours is kInternal with the
  // request id; its detail goes to the log. kUnavailable when draining. What `task` points to,
  // `context` and whatever `done` owns live until `done` has been called. `done` must not throw and
  // must not destroy the engine.
  void Submit(Method method, const AnyTask& task, std::shared_ptr<const RequestContext> context,
              int64_t held_bytes, AnswerCallback done);

  // See warm_up.h. Tasks that are submitted meanwhile wait until it is over.
  [[nodiscard]] WarmUpReport WarmUp(const WarmUpOptions& options,
                                    kernels::Precision default_precision) {
    return server::WarmUp(pool_, options, default_precision, clock_);
  }

  // From now on everything new is refused; what was accepted finishes. For good; may be called
  // again.
  void BeginDrain() { gate_.Close(); }

  // For tests: waits until no accepted task is unfinished, whether or not draining; false if that
  // is not so by `deadline`, which is of the machine's monotonic clock. A finished task's `done`
  // has returned and its captures are gone.
  [[nodiscard]] bool WaitUntilIdle(TimePoint deadline) { return gate_.WaitUntilEmpty(deadline); }

  // What is said where an allocation failed; copying it takes no memory.
  [[nodiscard]] const absl::Status& out_of_memory() const { return out_of_memory_; }

  [[nodiscard]] const EngineOptions& options() const { return options_; }
  [[nodiscard]] int64_t queue_depth() const { return pool_.queue_depth(); }

  // When a caller who is refused now may try again, see retry_pushback.h.
  [[nodiscard]] int64_t RetryPushbackMilliseconds() {
    return pushback_.Milliseconds(queue_depth());
  }

  // Of max_bytes_in_flight.
  [[nodiscard]] int64_t bytes_in_flight() const { return budget_.used_bytes(); }

 private:
  [[nodiscard]] absl::Status Rejected(Rejection reason, const absl::Status& status);
  [[nodiscard]] absl::Status Stopped(const absl::Status& status);
  [[nodiscard]] absl::StatusOr<ByteBudget::Permit> Reserve(int64_t byte_count);
  [[nodiscard]] absl::Status TryAccept(Submission& submission, int64_t held_bytes);
  void DropAbandoned();
  [[nodiscard]] std::optional<Refusal> TryEnter(Submission& submission);
  [[nodiscard]] absl::Status TryQueue(Submission& submission);
  void RunJob(std::unique_ptr<Submission> submission, kernels::Executor& executor);
  void RunSharing(std::unique_ptr<Submission> first, kernels::Executor& executor);
  [[nodiscard]] absl::Status Begin(Submission& submission);
  void Conclude(std::unique_ptr<Submission> submission, absl::StatusOr<AttentionResult> result);
  [[nodiscard]] double SecondsSince(TimePoint start) const;
  [[nodiscard]] AttentionAnswer AnswerOf(Submission& submission, AttentionResult result);
  [[nodiscard]] absl::Status ForCaller(const absl::Status& status, const RequestContext& context);

  const EngineOptions options_;
  const Clock& clock_;
  ServiceMetrics& metrics_;
  Log* const log_;

  // Made in advance: copying a status needs no memory.
  const absl::Status draining_ = absl::UnavailableError("the server is draining");
  const absl::Status out_of_memory_ = absl::ResourceExhaustedError("the server is out of memory");
  const absl::Status budget_full_ =
      absl::ResourceExhaustedError("the requests in flight hold all memory set aside for them");

  ByteBudget budget_;
  TaskGate gate_;
  RetryPushback pushback_{options_.thread_count};
  SharingQueue sharing_;
  ComputePool pool_;  // last: its destructor waits for jobs, which use the rest
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_ATTENTION_ENGINE_H_
