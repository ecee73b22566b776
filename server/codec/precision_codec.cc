#include "server/codec/precision_codec.h"

#include "server/core/precision.h"

namespace attention::server {

v1::Precision WirePrecision(kernels::Precision precision) {
  switch (precision) {
    case kernels::Precision::kF32:
      return v1::PRECISION_F32;
    case kernels::Precision::kBF16X6:
      return v1::PRECISION_BF16_X6;
    case kernels::Precision::kBF16X3:
      return v1::PRECISION_BF16_X3;
    case kernels::Precision::kBF16:
      return v1::PRECISION_BF16;
    case kernels::Precision::kF32GradeFastest:
      return v1::PRECISION_F32_GRADE_FASTEST;
  }
  return v1::PRECISION_UNSPECIFIED;
}

std::optional<kernels::Precision> KernelPrecision(v1::Precision precision) {
  for (const kernels::Precision known : kPrecisions) {
    if (WirePrecision(known) == precision) return known;
  }
  return std::nullopt;
}

}  // namespace attention::server
