// How a computation runs: on which threads, and until when.

#ifndef ATTENTION_KERNELS_EXECUTION_H_
#define ATTENTION_KERNELS_EXECUTION_H_

#include <cstdint>

#include "absl/functional/function_ref.h"

namespace attention::kernels {

// Lends threads to a computation. The results never depend on how many.
class Executor {
 public:
  virtual ~Executor() = default;

  // Calls `work(item)` once for each item in [0, item_count), in ascending order of start, from the
  // calling thread and from as many others as are free. Returns, once all calls have returned, how
  // many threads took part (at least 1). `work` must not throw. Between two calls of it a thread
  // may begin and end other computations of this library.
  virtual int Run(int64_t item_count, absl::FunctionRef<void(int64_t)> work) = 0;

  // How many threads could take part, at most.
  [[nodiscard]] virtual int thread_count() const = 0;
};

// Says whether a computation should end early. Asked between tiles, from any thread. Once it has
// said so, it goes on saying so.
class StopSignal {
 public:
  virtual ~StopSignal() = default;
  [[nodiscard]] virtual bool StopRequested() const = 0;
};

struct Execution {
  Executor* executor = nullptr;      // null: the calling thread alone
  const StopSignal* stop = nullptr;  // null: never
};

// Runs the items on the executor, or one after the other if there is none. Items that begin after a
// stop was requested are skipped. Returns the number of threads that took part. An item may throw
// std::bad_alloc or a vector's std::length_error: those that have not begun are skipped, and the
// caller's thread throws std::bad_alloc once all have returned.
int RunItems(const Execution& execution, int64_t item_count, absl::FunctionRef<void(int64_t)> work);

[[nodiscard]] bool StopRequested(const Execution& execution);

// How many threads could take part, at most: 1 without an executor.
[[nodiscard]] int ThreadCount(const Execution& execution);

// For executors: moves the calling thread away from `processor` (a number of sched_getcpu) if it is
// there and may run elsewhere, and leaves it allowed where it was. A thread that helps calls this
// with the owner's: the scheduler can leave it for tens of milliseconds where the one runs that
// woke it up, and then they take turns. Thread safety: reentrant.
void LeaveProcessor(int processor);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_EXECUTION_H_
