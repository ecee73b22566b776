// Twelve independent chains of fused multiply-adds: more than latency (4 cycles) times units (2)
// asks for.

#include <immintrin.h>

#include <cstdint>

#include "tests/benchmark/probes/probes.h"
#include "tests/benchmark/probes/stopwatch.h"

namespace {

constexpr int kChainCount = 12;
constexpr int64_t kStepCount = 1 << 17;
constexpr int kRunCount = 8;

// The compiler may neither know where the chains start nor drop their ends, which an empty
// statement reads. They converge to 1 and never meet a slow number.
const volatile float factor_source = 0.5F;

__attribute__((target("avx512f"))) void RunChains512() {
  const __m512 factor = _mm512_set1_ps(factor_source);
  __m512 chains[kChainCount];
  for (__m512& chain : chains) chain = factor;
  for (int64_t step = 0; step < kStepCount; ++step) {
#pragma GCC unroll 16
    for (int i = 0; i < kChainCount; ++i) chains[i] = _mm512_fmadd_ps(chains[i], factor, factor);
  }
  asm volatile("" : : "m"(chains));
}

__attribute__((target("avx2,fma"))) void RunChains256() {
  const __m256 factor = _mm256_set1_ps(factor_source);
  __m256 chains[kChainCount];
  for (__m256& chain : chains) chain = factor;
  for (int64_t step = 0; step < kStepCount; ++step) {
#pragma GCC unroll 16
    for (int i = 0; i < kChainCount; ++i) chains[i] = _mm256_fmadd_ps(chains[i], factor, factor);
  }
  asm volatile("" : : "m"(chains));
}

}  // namespace

double attention_probe_fma_flops_per_second(int vector_bits) {
  using attention::benchmark::ShortestSecondsOf;
  double seconds = 0;
  if (vector_bits == 512 && __builtin_cpu_supports("avx512f")) {
    seconds = ShortestSecondsOf(kRunCount, RunChains512);
  } else if (vector_bits == 256 && __builtin_cpu_supports("avx2") &&
             __builtin_cpu_supports("fma")) {
    seconds = ShortestSecondsOf(kRunCount, RunChains256);
  }
  if (seconds == 0) return 0;
  const int lane_count = vector_bits / 32;
  return 2.0 * lane_count * kChainCount * static_cast<double>(kStepCount) / seconds;
}
