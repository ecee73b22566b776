#include "server/core/precision.h"

namespace attention::server {

std::string_view Name(kernels::Precision precision) {
  switch (precision) {
    case kernels::Precision::kF32:
      return "f32";
    case kernels::Precision::kBF16X6:
      return "bf16_x6";
    case kernels::Precision::kBF16X3:
      return "bf16_x3";
    case kernels::Precision::kBF16:
      return "bf16";
    case kernels::Precision::kF32GradeFastest:
      return "f32_grade_fastest";
  }
  return "unknown";
}

std::optional<kernels::Precision> ParsePrecision(std::string_view name) {
  for (const kernels::Precision precision : kPrecisions) {
    if (Name(precision) == name) return precision;
  }
  return std::nullopt;
}

}  // namespace attention::server
