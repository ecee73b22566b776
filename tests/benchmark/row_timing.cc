#include "tests/benchmark/row_timing.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "tests/benchmark/failures.h"

namespace attention::benchmark {

using kernels::DataType;
using kernels::Precision;

double Quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto nth =
      values.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

std::vector<double> IterationSeconds(::benchmark::State& state,
                                     absl::FunctionRef<absl::Status()> work) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  seconds.reserve(state.max_iterations);
  Clock::time_point start = Clock::now();
  for (auto _ : state) {
    if (absl::Status status = work(); !status.ok()) {
      Fail(state, status.ToString());
      break;
    }
    const Clock::time_point end = Clock::now();
    seconds.push_back(std::chrono::duration<double>(end - start).count());
    start = end;
  }
  return seconds;
}

double MedianIterationSeconds(::benchmark::State& state, absl::FunctionRef<absl::Status()> work) {
  return Quantile(IterationSeconds(state, work), 0.5);
}

bool SkipOtherPrecision(::benchmark::State& state, DataType type, Precision asked,
                        std::string_view ran) {
  if (type != DataType::kF32 || asked == Precision::kF32 || ran == Name(asked)) return false;
  state.SkipWithMessage("computed in " + std::string(ran) + " here");
  return true;
}

std::string_view Name(Precision precision) {
  switch (precision) {
    case Precision::kF32:
      return "f32";
    case Precision::kBF16X6:
      return "bf16_x6";
    case Precision::kBF16X3:
      return "bf16_x3";
    case Precision::kBF16:
      return "bf16";
    case Precision::kF32GradeFastest:
      return "f32_grade_fastest";
  }
  return "unknown";
}

std::string RowSuffix(DataType type, Precision precision, int thread_count) {
  std::string suffix(kernels::Name(type));
  if (type == DataType::kF32) suffix.append("/").append(Name(precision));
  return suffix.append("/threads:").append(std::to_string(thread_count));
}

}  // namespace attention::benchmark
