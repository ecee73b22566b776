// What this machine can do at most, measured: the peaks that figures of the kernels are divided by.
//
// Functions with C linkage, so that programs in other languages can load them from the shared
// library attention_probes. Each takes a few milliseconds, runs on the calling thread and gives 0
// where the processor or the system does not offer what it measures. Thread safety: all may be
// called from several threads at once, and then measure what they get beside each other.

#ifndef ATTENTION_TESTS_BENCHMARK_PROBES_PROBES_H_
#define ATTENTION_TESTS_BENCHMARK_PROBES_PROBES_H_

#include <cstddef>

extern "C" {

// Floating point operations per second, two for each fused multiply-add, of independent f32 ones
// in vectors of 256 (AVX2) or 512 (AVX-512) bits. The best of several runs of a quarter of a
// millisecond.
double attention_probe_fma_flops_per_second(int vector_bits);

// Of independent BF16 tile products that load no tiles. The best of several runs.
double attention_probe_amx_flops_per_second();

// Seconds for one plain read of `byte_count` bytes in four streams.
double attention_probe_read_seconds(const void* data, std::size_t byte_count);

// Core cycles for one load of a whole tile (1 KiB) from the first level cache, as the median of
// several runs. About 8 is what the hardware needs; on virtual machines it is at times more than
// three times as many, for milliseconds to seconds, while products of loaded tiles are as fast as
// ever.
double attention_probe_tile_load_cycles();

// The number of cycles from which attention_probe_tile_load_cycles speaks of a slow phase.
double attention_probe_slow_tile_load_cycles();

}  // extern "C"

#endif  // ATTENTION_TESTS_BENCHMARK_PROBES_PROBES_H_
