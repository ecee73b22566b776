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

// Read and written so that the compiler can neither compute the chains nor drop them. The chains
// converge to 1 and never meet a slow number.
volatile float factor_source = 0.5F;
volatile float result_sink;

__attribute__((target("avx512f"))) void RunChains512() {
  const __m512 factor = _mm512_set1_ps(factor_source);
  __m512 chains[kChainCount];
  for (__m512& chain : chains) chain = factor;
  for (int64_t step = 0; step < kStepCount; ++step) {
#pragma GCC unroll 16
    for (int i = 0; i < kChainCount; ++i) chains[i] = _mm512_fmadd_ps(chains[i], factor, factor);
  }
  for (const __m512 chain : chains) result_sink = _mm512_cvtss_f32(chain);
}

__attribute__((target("avx2,fma"))) void RunChains256() {
  const __m256 factor = _mm256_set1_ps(factor_source);
  __m256 chains[kChainCount];
  for (__m256& chain : chains) chain = factor;
  for (int64_t step = 0; step < kStepCount; ++step) {
#pragma GCC unroll 16
    for (int i = 0; i < kChainCount; ++i) chains[i] = _mm256_fmadd_ps(chains[i], factor, factor);
  }
  for (const __m256 chain : chains) result_sink = _mm256_cvtss_f32(chain);
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
