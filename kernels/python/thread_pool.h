// The threads that this module's computations share.

#ifndef ATTENTION_KERNELS_PYTHON_THREAD_POOL_H_
#define ATTENTION_KERNELS_PYTHON_THREAD_POOL_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "kernels/execution.h"

namespace attention::python {

// How many processors the calling thread may run on: the number of threads used where none is asked
// for. Quotas of control groups are not looked at.
[[nodiscard]] int AvailableProcessorCount();

// Runs items on the calling thread and on up to thread_count - 1 others of the process's one pool,
// whose threads are started when first wanted and kept, and which run where the calling thread may.
// While one computation has the pool, another runs on its own calling thread alone, and so does one
// that begins within an item. A forked child has a pool of its own. Which thread runs which item
// changes no result (kernels/execution.h).
class PooledExecutor final : public kernels::Executor {
 public:
  explicit PooledExecutor(int thread_count) : thread_count_(thread_count) {}

  int Run(int64_t item_count, absl::FunctionRef<void(int64_t)> work) override;
  [[nodiscard]] int thread_count() const override { return thread_count_; }

 private:
  const int thread_count_;
};

}  // namespace attention::python

#endif  // ATTENTION_KERNELS_PYTHON_THREAD_POOL_H_
