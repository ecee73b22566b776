// That the probes measure what is there, and disturb nobody.

#include "tests/benchmark/machine_peaks.h"

#include <cstring>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/implementation.h"
#include "tests/benchmark/attention_operands.h"
#include "tests/benchmark/probes/amx_tiles.h"
#include "tests/benchmark/probes/probes.h"

namespace attention::benchmark {
namespace {

TEST(MachinePeaksTest, AProcessorWithAvx2HasAnFmaPeakThatThreadsAddTo) {
  if (!__builtin_cpu_supports("avx2")) GTEST_SKIP() << "no AVX2";
  const ComputePeaks one = MeasureComputePeaks(1);
  const ComputePeaks two = MeasureComputePeaks(2);
  EXPECT_GT(one.fma_flops_per_second, 1e8);
  EXPECT_GT(two.fma_flops_per_second, 1e8);
}

TEST(MachinePeaksTest, AmxIsMeasuredIfTheKernelsMayUseIt) {
  const bool amx = kernels::InstructionSet() == "avx512_amx";
  const ComputePeaks peaks = MeasureComputePeaks(1);
  EXPECT_EQ(peaks.amx_flops_per_second > 0, amx);
  EXPECT_EQ(peaks.fewest_tile_load_cycles > 0, amx);
  if (!amx) return;
  EXPECT_GT(peaks.fewest_tile_load_cycles, 4) << "a tile is 16 lines, and two are loaded a cycle";
}

TEST(MachinePeaksTest, OfTwoMeasurementsTheHigherPeaksAndTheRangeOfPhasesCount) {
  const ComputePeaks combined = ComputePeaks{1, 20, 8, 9}.CombinedWith({2, 10, 7, 30});
  EXPECT_EQ(combined.fma_flops_per_second, 2);
  EXPECT_EQ(combined.amx_flops_per_second, 20);
  EXPECT_EQ(combined.fewest_tile_load_cycles, 7);
  EXPECT_EQ(combined.most_tile_load_cycles, 30);
}

TEST(MachinePeaksTest, ReadingIsMeasuredOverAllBuffers) {
  const std::vector<std::byte> memory(size_t{16} << 20);
  const std::span<const std::byte> buffers[] = {{memory.data(), memory.size() / 2},
                                                {memory.data(), memory.size()}};
  for (const int thread_count : {1, 2}) {
    const double bandwidth = MeasureReadBandwidth(thread_count, buffers);
    EXPECT_GT(bandwidth, 1e7);
    EXPECT_LT(bandwidth, 1e13);
  }
}

TEST(ProbesTest, AVectorWidthThatNoProcessorHasHasNoPeak) {
  EXPECT_EQ(attention_probe_fma_flops_per_second(128), 0);
}

TEST(ProbesTest, KernelsThatKeepTilesConfiguredComputeTheSameAfterAProbe) {
  if (!AmxIsUsable()) GTEST_SKIP() << "no AMX";
  AttentionShape shape;
  shape.query_count = shape.key_count = 100;
  shape.width = 32;
  AttentionOperands operands(shape, kernels::DataType::kBF16);
  const kernels::AttentionOutputs outputs = operands.Outputs();
  const size_t byte_count = 100 * 32 * 2;
  ASSERT_TRUE(Attend(operands.Problem(), {}, outputs).ok());
  std::vector<std::byte> before(byte_count);
  std::memcpy(before.data(), outputs.output.data, byte_count);
  std::memset(outputs.output.data, 0, byte_count);
  EXPECT_GT(attention_probe_amx_flops_per_second(), 0);
  EXPECT_GT(attention_probe_tile_load_cycles(), 0);
  ASSERT_TRUE(Attend(operands.Problem(), {}, outputs).ok());
  EXPECT_EQ(std::memcmp(before.data(), outputs.output.data, byte_count), 0);
}

}  // namespace
}  // namespace attention::benchmark
