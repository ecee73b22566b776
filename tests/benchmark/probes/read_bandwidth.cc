// Four streams, each through a quarter of the memory, as the prefetchers of a core like it.

#include <immintrin.h>

#include <cstddef>

#include "tests/benchmark/probes/probes.h"
#include "tests/benchmark/probes/stopwatch.h"

namespace {

constexpr size_t kStreamCount = 4;
constexpr size_t kLineBytes = 64;

void Read(const std::byte* data, size_t byte_count) {
  const size_t stream_bytes = byte_count / kStreamCount / kLineBytes * kLineBytes;
  __m128i sums[kStreamCount] = {};
  for (size_t line = 0; line < stream_bytes; line += kLineBytes) {
#pragma GCC unroll 4
    for (size_t stream = 0; stream < kStreamCount; ++stream) {
      const std::byte* address = data + stream * stream_bytes + line;
#pragma GCC unroll 4
      for (size_t offset = 0; offset < kLineBytes; offset += sizeof(__m128i)) {
        const auto* source = reinterpret_cast<const __m128i*>(address + offset);
        sums[stream] = _mm_xor_si128(sums[stream], _mm_loadu_si128(source));
      }
    }
  }
  asm volatile("" : : "m"(sums));  // or else nothing would be read
}

}  // namespace

double attention_probe_read_seconds(const void* data, size_t byte_count) {
  return attention::benchmark::SecondsOf(
      [&] { Read(static_cast<const std::byte*>(data), byte_count); });
}
