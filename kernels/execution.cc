#include "kernels/execution.h"

#include <sched.h>

#include <atomic>
#include <new>
#include <stdexcept>

namespace attention::kernels {

bool StopRequested(const Execution& execution) {
  return execution.stop != nullptr && execution.stop->StopRequested();
}

int ThreadCount(const Execution& execution) {
  return execution.executor == nullptr ? 1 : execution.executor->thread_count();
}

int RunItems(const Execution& execution, int64_t item_count,
             absl::FunctionRef<void(int64_t)> work) {
  std::atomic<bool> out_of_memory = false;
  const auto run_unless_stopped = [&](int64_t item) {
    if (out_of_memory.load(std::memory_order_relaxed) || StopRequested(execution)) return;
    try {
      return work(item);
    } catch (const std::bad_alloc&) {
    } catch (const std::length_error&) {
    }
    out_of_memory.store(true, std::memory_order_relaxed);
  };
  int thread_count = 1;
  if (execution.executor != nullptr && item_count > 1) {
    thread_count = execution.executor->Run(item_count, run_unless_stopped);
  } else {
    for (int64_t item = 0; item < item_count; ++item) run_unless_stopped(item);
  }
  if (out_of_memory) throw std::bad_alloc();
  return thread_count;
}

void LeaveProcessor(int processor) {
  if (sched_getcpu() != processor) return;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 || CPU_COUNT(&allowed) < 2) return;
  cpu_set_t others = allowed;
  CPU_CLR(processor, &others);
  sched_setaffinity(0, sizeof(others), &others);
  sched_setaffinity(0, sizeof(allowed), &allowed);
}

}  // namespace attention::kernels
