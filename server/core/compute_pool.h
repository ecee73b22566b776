// The threads that compute, and the bounded queue in front of them.

#ifndef ATTENTION_SERVER_CORE_COMPUTE_POOL_H_
#define ATTENTION_SERVER_CORE_COMPUTE_POOL_H_

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "kernels/execution.h"

namespace attention::server {

// Runs jobs in order of submission, each on one thread; a job's executor borrows threads that have
// no job of their own, so a large request uses the whole machine while it is alone and never keeps
// another one waiting for a helper to finish more than the item at hand. An executor may be used
// during its job only, from the job's thread or from within its items; a Run from within one of
// several items stays on that item's thread. A job that is abandoned while it waits keeps its place
// until its turn comes or RunAbandoned is called.
//
// The threads are named "attention-0", "attention-1", ... and sleep while there is nothing to do.
// Thread safety: all methods may be called from any thread, but the destructor.
class ComputePool {
 public:
  using Job = absl::AnyInvocable<void(kernels::Executor&) &&>;

  // Whether nobody needs a job any more. Called under the pool's lock: it must be quick and must
  // not call the pool. Once true it stays true.
  using Abandoned = absl::AnyInvocable<bool() const>;

  // `thread_count` >= 1; `queue_capacity` >= 1 counts jobs that wait, not those that run: a job
  // waits while every thread has one. `on_queue_depth` is told every change of the number of
  // waiting jobs, in order; it must be quick and must not call the pool. Throws std::system_error
  // if a thread cannot be started.
  ComputePool(int thread_count, int64_t queue_capacity,
              absl::AnyInvocable<void(int64_t depth)> on_queue_depth = nullptr);

  // Waits for every submitted job to finish.
  ~ComputePool();

  ComputePool(const ComputePool&) = delete;
  ComputePool& operator=(const ComputePool&) = delete;

  // Takes the job and returns OK, or returns kResourceExhausted and destroys the job unrun. Jobs
  // must not throw: an exception that leaves one ends the process. Does not allocate when it takes
  // the job. Without `abandoned` a job never is.
  [[nodiscard]] absl::Status TrySubmit(Job job, Abandoned abandoned = nullptr);

  // Takes abandoned jobs out of the queue and runs them here, on this thread alone, so that their
  // places become free. An abandoned job should only clean up, and must not call this. On return no
  // other thread is still running one. Throws std::bad_alloc before it has done anything.
  void RunAbandoned();

  [[nodiscard]] int thread_count() const;
  [[nodiscard]] int64_t queue_depth() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_COMPUTE_POOL_H_
