// What several threads reach together on this machine, right now.

#ifndef ATTENTION_TESTS_BENCHMARK_MACHINE_PEAKS_H_
#define ATTENTION_TESTS_BENCHMARK_MACHINE_PEAKS_H_

#include <cstddef>
#include <span>

namespace attention::benchmark {

// Sums over the threads; 0 for what the processor does not have.
struct ComputePeaks {
  double fma_flops_per_second = 0;
  double amx_flops_per_second = 0;
  // Of one tile, in the thread or measurement where they were the fewest and the most.
  double fewest_tile_load_cycles = 0;
  double most_tile_load_cycles = 0;

  // Of two measurements: the higher peaks.
  [[nodiscard]] ComputePeaks CombinedWith(const ComputePeaks& other) const;
};

// Measured on `thread_count` threads at the same time. FMA in the widest vectors that the kernels
// may use, and AMX only if they may use it (InstructionSet()).
[[nodiscard]] ComputePeaks MeasureComputePeaks(int thread_count);

// Bytes per second of `thread_count` threads that plainly read the buffers in turn, each thread its
// share of each buffer. The best of several rounds.
[[nodiscard]] double MeasureReadBandwidth(int thread_count,
                                          std::span<const std::span<const std::byte>> buffers);

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_MACHINE_PEAKS_H_
