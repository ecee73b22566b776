#include "tests/benchmark/peak_counters.h"

#include <string>

#include "tests/benchmark/probes/probes.h"

namespace attention::benchmark {
namespace {

// How many BF16 products stand for one; 0 if none do.
int Bf16ProductCount(std::string_view precision) {
  if (precision == "bf16") return 1;
  if (precision == "bf16_x3") return 3;
  if (precision == "bf16_x6") return 6;
  return 0;
}

}  // namespace

void CountFlops(::benchmark::State& state, double seconds, double flops, std::string_view precision,
                const ComputePeaks& peaks) {
  if (seconds == 0) return;
  state.counters["median_ms"] = seconds * 1e3;
  state.counters["GFLOP/s"] = flops / seconds * 1e-9;
  const int product_count = Bf16ProductCount(precision);
  if (product_count > 0 && peaks.amx_flops_per_second > 0) {
    state.counters["amx%"] = 100 * product_count * flops / seconds / peaks.amx_flops_per_second;
  }
  // A split is there to be faster than the vector units; for plain BF16 they are no yardstick.
  if (product_count != 1 && peaks.fma_flops_per_second > 0) {
    state.counters["fma%"] = 100 * flops / seconds / peaks.fma_flops_per_second;
  }
  if (peaks.most_tile_load_cycles > 0) {
    state.counters["tile_load_cycles"] = peaks.most_tile_load_cycles;
  }
}

void CountBytes(::benchmark::State& state, double seconds, double byte_count,
                double peak_bytes_per_second) {
  if (seconds == 0) return;
  state.counters["GB/s"] = byte_count / seconds * 1e-9;
  state.counters["read%"] = 100 * byte_count / seconds / peak_bytes_per_second;
}

void SetLabel(::benchmark::State& state, std::string_view implementation,
              std::string_view precision, const ComputePeaks& peaks) {
  std::string label(implementation);
  label.append(" ").append(precision);
  if (peaks.most_tile_load_cycles > 0) {
    const double slow = attention_probe_slow_tile_load_cycles();
    const bool never = peaks.most_tile_load_cycles < slow;
    const bool always = peaks.fewest_tile_load_cycles >= slow;
    label.append(never ? " amx:fast" : always ? " amx:slow" : " amx:mixed");
  }
  state.SetLabel(label);
}

}  // namespace attention::benchmark
