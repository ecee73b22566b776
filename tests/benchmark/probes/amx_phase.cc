// Loads of tiles from the first level cache, in core cycles. A chain of multiplications, three
// cycles each on all processors with AMX, tells how long a cycle is at the moment. (Additions would
// not: newer processors compute those of constants while they rename registers.)

#include <immintrin.h>

#include <cstdint>

#include "tests/benchmark/probes/amx_tiles.h"
#include "tests/benchmark/probes/probes.h"
#include "tests/benchmark/probes/stopwatch.h"

namespace {

constexpr int kRunCount = 9;
constexpr int64_t kStepCount = 512;
constexpr int64_t kLoadsPerStep = 8;
constexpr int64_t kMultiplicationsPerStep = 8;
constexpr double kCyclesPerMultiplication = 3;
constexpr size_t kTileBytes = 1024;

alignas(64) constexpr uint8_t kTiles[kLoadsPerStep * kTileBytes] = {};

__attribute__((target("amx-tile"))) void RunLoads() {
  for (int64_t step = 0; step < kStepCount; ++step) {
    _tile_loadd(0, kTiles, 64);
    _tile_loadd(1, kTiles + 1 * kTileBytes, 64);
    _tile_loadd(2, kTiles + 2 * kTileBytes, 64);
    _tile_loadd(3, kTiles + 3 * kTileBytes, 64);
    _tile_loadd(4, kTiles + 4 * kTileBytes, 64);
    _tile_loadd(5, kTiles + 5 * kTileBytes, 64);
    _tile_loadd(6, kTiles + 6 * kTileBytes, 64);
    _tile_loadd(7, kTiles + 7 * kTileBytes, 64);
  }
}

void RunMultiplications() {
  uint64_t product = 1;
  const uint64_t factor = 3;
  for (int64_t step = 0; step < kStepCount; ++step) {
    asm volatile(
        "imul %1, %0\n imul %1, %0\n imul %1, %0\n imul %1, %0\n"
        "imul %1, %0\n imul %1, %0\n imul %1, %0\n imul %1, %0\n"
        : "+r"(product)
        : "r"(factor));
  }
}

}  // namespace

double attention_probe_tile_load_cycles() {
  using namespace attention::benchmark;
  if (!AmxIsUsable()) return 0;
  const FullTiles tiles;
  const double seconds_per_load =
      MedianSecondsOf(kRunCount, RunLoads) / static_cast<double>(kStepCount * kLoadsPerStep);
  const double cycle_count =
      kCyclesPerMultiplication * static_cast<double>(kStepCount * kMultiplicationsPerStep);
  const double seconds_per_cycle = MedianSecondsOf(kRunCount, RunMultiplications) / cycle_count;
  return seconds_per_load / seconds_per_cycle;
}

double attention_probe_slow_tile_load_cycles() { return 14; }
