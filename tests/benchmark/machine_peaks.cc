#include "tests/benchmark/machine_peaks.h"

#include <algorithm>
#include <barrier>
#include <functional>
#include <thread>
#include <vector>

#include "kernels/implementation.h"
#include "tests/benchmark/probes/probes.h"

namespace attention::benchmark {
namespace {

constexpr int kReadRounds = 3;

// Calls probe(thread) on `thread_count` threads that start together.
void RunTogether(int thread_count, const std::function<void(int)>& probe) {
  std::barrier start(thread_count);
  const auto run = [&](int thread) {
    start.arrive_and_wait();
    probe(thread);
  };
  std::vector<std::jthread> others;
  for (int thread = 1; thread < thread_count; ++thread) others.emplace_back(run, thread);
  run(0);
}

std::span<const std::byte> ShareOf(std::span<const std::byte> buffer, int thread,
                                   int thread_count) {
  const size_t share = buffer.size() / static_cast<size_t>(thread_count);
  return buffer.subspan(static_cast<size_t>(thread) * share, share);
}

}  // namespace

ComputePeaks ComputePeaks::CombinedWith(const ComputePeaks& other) const {
  return {
      .fma_flops_per_second = std::max(fma_flops_per_second, other.fma_flops_per_second),
      .amx_flops_per_second = std::max(amx_flops_per_second, other.amx_flops_per_second),
      .fewest_tile_load_cycles = std::min(fewest_tile_load_cycles, other.fewest_tile_load_cycles),
      .most_tile_load_cycles = std::max(most_tile_load_cycles, other.most_tile_load_cycles),
  };
}

ComputePeaks MeasureComputePeaks(int thread_count) {
  const std::string_view instruction_set = kernels::InstructionSet();
  const int vector_bits = instruction_set.starts_with("avx512") ? 512 : 256;
  const bool with_amx = instruction_set == "avx512_amx";
  std::vector<ComputePeaks> peaks(static_cast<size_t>(thread_count));
  RunTogether(thread_count, [&](int thread) {
    ComputePeaks& own = peaks[static_cast<size_t>(thread)];
    own.fma_flops_per_second = attention_probe_fma_flops_per_second(vector_bits);
    if (!with_amx) return;
    own.amx_flops_per_second = attention_probe_amx_flops_per_second();
    own.fewest_tile_load_cycles = own.most_tile_load_cycles = attention_probe_tile_load_cycles();
  });
  ComputePeaks together = peaks.front();
  for (const ComputePeaks& own : std::span(peaks).subspan(1)) {
    const double fma_flops_per_second = together.fma_flops_per_second + own.fma_flops_per_second;
    const double amx_flops_per_second = together.amx_flops_per_second + own.amx_flops_per_second;
    together = together.CombinedWith(own);
    together.fma_flops_per_second = fma_flops_per_second;
    together.amx_flops_per_second = amx_flops_per_second;
  }
  return together;
}

double MeasureReadBandwidth(int thread_count, std::span<const std::span<const std::byte>> buffers) {
  double byte_count = 0;
  for (const std::span<const std::byte> buffer : buffers) {
    byte_count += static_cast<double>(buffer.size());
  }
  double shortest = 0;
  for (int round = 0; round < kReadRounds; ++round) {
    std::vector<double> seconds(static_cast<size_t>(thread_count), 0.0);
    RunTogether(thread_count, [&](int thread) {
      for (const std::span<const std::byte> buffer : buffers) {
        const std::span<const std::byte> share = ShareOf(buffer, thread, thread_count);
        seconds[static_cast<size_t>(thread)] +=
            attention_probe_read_seconds(share.data(), share.size());
      }
    });
    const double slowest = *std::max_element(seconds.begin(), seconds.end());
    shortest = round == 0 ? slowest : std::min(shortest, slowest);
  }
  return byte_count / shortest;
}

}  // namespace attention::benchmark
