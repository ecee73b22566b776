#include "tests/benchmark/failures.h"

#include <atomic>

namespace attention::benchmark {
namespace {

std::atomic<int> failure_count = 0;

}  // namespace

void Fail(::benchmark::State& state, const std::string& message) {
  failure_count.fetch_add(1);
  state.SkipWithError(message);
}

int FailureCount() { return failure_count.load(); }

}  // namespace attention::benchmark
