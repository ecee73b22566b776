// How the service computes matrix products over F32 tensors. What each means, its formula and its
// error are told by Precision in proto/attention/v1/options.proto.

#ifndef ATTENTION_CLIENT_PRECISION_H_
#define ATTENTION_CLIENT_PRECISION_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace attention::client {

enum class Precision : uint8_t { kF32, kBF16X6, kBF16X3, kBF16, kF32GradeFastest };

inline constexpr std::array<Precision, 5> kPrecisions = {Precision::kF32, Precision::kBF16X6,
                                                         Precision::kBF16X3, Precision::kBF16,
                                                         Precision::kF32GradeFastest};

// "f32", "bf16_x6" ...: where Execution::precision can say the same, its word.
[[nodiscard]] constexpr std::string_view Name(Precision precision) {
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

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_PRECISION_H_
