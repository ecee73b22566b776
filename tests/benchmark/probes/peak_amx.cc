// Products of tiles that stay in registers, in four independent chains: a product takes 16 cycles
// and its result 52.

#include <immintrin.h>

#include <cstdint>

#include "tests/benchmark/probes/amx_tiles.h"
#include "tests/benchmark/probes/probes.h"
#include "tests/benchmark/probes/stopwatch.h"

namespace {

constexpr int64_t kStepCount = 1 << 13;
constexpr int64_t kProductsPerStep = 4;
constexpr double kFlopsPerProduct = 2.0 * 16 * 16 * 32;
constexpr int kRunCount = 8;

// Tiles 0 to 3 collect the products of tiles 4 and 5 with tiles 6 and 7, all of them zero.
__attribute__((target("amx-tile,amx-bf16"))) void RunProducts() {
  for (int64_t step = 0; step < kStepCount; ++step) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

}  // namespace

double attention_probe_amx_flops_per_second() {
  if (!attention::benchmark::AmxIsUsable()) return 0;
  const attention::benchmark::FullTiles tiles;
  const double seconds = attention::benchmark::ShortestSecondsOf(kRunCount, RunProducts);
  return kFlopsPerProduct * kProductsPerStep * static_cast<double>(kStepCount) / seconds;
}
