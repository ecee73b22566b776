// Seconds that a piece of code takes.

#ifndef ATTENTION_TESTS_BENCHMARK_PROBES_STOPWATCH_H_
#define ATTENTION_TESTS_BENCHMARK_PROBES_STOPWATCH_H_

#include <algorithm>
#include <chrono>
#include <vector>

namespace attention::benchmark {

template <typename Work>
double SecondsOf(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The shortest of `run_count` runs: what the work takes when nothing disturbs it.
template <typename Work>
double ShortestSecondsOf(int run_count, const Work& work) {
  double shortest = SecondsOf(work);
  for (int run = 1; run < run_count; ++run) shortest = std::min(shortest, SecondsOf(work));
  return shortest;
}

template <typename Work>
double MedianSecondsOf(int run_count, const Work& work) {
  std::vector<double> seconds;
  for (int run = 0; run < run_count; ++run) seconds.push_back(SecondsOf(work));
  std::nth_element(seconds.begin(), seconds.begin() + run_count / 2, seconds.end());
  return seconds[static_cast<size_t>(run_count / 2)];
}

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_PROBES_STOPWATCH_H_
