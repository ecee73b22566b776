#include "tests/benchmark/peak_counters.h"

#include <string>

#include "tests/benchmark/probes/probes.h"

namespace attention::benchmark {
namespace {

double PerSecond(double amount, const TimedIterations& timed) {
  return timed.seconds > 0 ? amount * static_cast<double>(timed.count) / timed.seconds : 0;
}

// How many BF16 products stand for one; 0 if none do.
int Bf16ProductCount(std::string_view precision) {
  if (precision == "bf16") return 1;
  if (precision == "bf16_x3") return 3;
  if (precision == "bf16_x6") return 6;
  return 0;
}

}  // namespace

void CountFlops(::benchmark::State& state, const TimedIterations& timed, double flops,
                std::string_view precision, const ComputePeaks& peaks) {
  const double rate = PerSecond(flops, timed);
  state.counters["GFLOP/s"] = rate * 1e-9;
  if (peaks.fma_flops_per_second > 0) {
    state.counters["fma%"] = 100 * rate / peaks.fma_flops_per_second;
  }
  if (peaks.amx_flops_per_second == 0) return;
  state.counters["tile_load_cycles"] = peaks.tile_load_cycles;
  const int product_count = Bf16ProductCount(precision);
  if (product_count == 0) return;
  state.counters["amx%"] = 100 * product_count * rate / peaks.amx_flops_per_second;
}

void CountBytes(::benchmark::State& state, const TimedIterations& timed, double byte_count,
                double peak_bytes_per_second) {
  const double rate = PerSecond(byte_count, timed);
  state.counters["GB/s"] = rate * 1e-9;
  state.counters["read%"] = 100 * rate / peak_bytes_per_second;
}

void SetLabel(::benchmark::State& state, std::string_view implementation,
              std::string_view precision, const ComputePeaks& peaks) {
  std::string label(implementation);
  label.append(" ").append(precision);
  if (peaks.tile_load_cycles > 0) {
    const bool slow = peaks.tile_load_cycles >= attention_probe_slow_tile_load_cycles();
    label.append(slow ? " amx:slow" : " amx:fast");
  }
  state.SetLabel(label);
}

}  // namespace attention::benchmark
