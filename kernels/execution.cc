#include "kernels/execution.h"

namespace attention::kernels {

bool StopRequested(const Execution& execution) {
  return execution.stop != nullptr && execution.stop->StopRequested();
}

int ThreadCount(const Execution& execution) {
  return execution.executor == nullptr ? 1 : execution.executor->thread_count();
}

int RunItems(const Execution& execution, int64_t item_count,
             absl::FunctionRef<void(int64_t)> work) {
  const auto run_unless_stopped = [&](int64_t item) {
    if (!StopRequested(execution)) work(item);
  };
  if (execution.executor != nullptr && item_count > 1) {
    return execution.executor->Run(item_count, run_unless_stopped);
  }
  for (int64_t item = 0; item < item_count; ++item) run_unless_stopped(item);
  return 1;
}

}  // namespace attention::kernels
