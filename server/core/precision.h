// The words for precisions in flags, reports and metrics.

#ifndef ATTENTION_SERVER_CORE_PRECISION_H_
#define ATTENTION_SERVER_CORE_PRECISION_H_

#include <array>
#include <optional>
#include <string_view>

#include "kernels/attend.h"

namespace attention::server {

// All that can be asked for.
inline constexpr std::array<kernels::Precision, 5> kPrecisions = {
    kernels::Precision::kF32, kernels::Precision::kBF16X6, kernels::Precision::kBF16X3,
    kernels::Precision::kBF16, kernels::Precision::kF32GradeFastest};

// All that kernels::AttentionReport::precision can say.
inline constexpr std::array<std::string_view, 5> kReportedPrecisions = {"f32", "bf16_x6", "bf16_x3",
                                                                        "bf16", "f64"};

// "f32", "bf16_x6", "bf16_x3", "bf16" or "f32_grade_fastest": where a report can say the same, the
// report's word.
[[nodiscard]] std::string_view Name(kernels::Precision precision);

// The precision of that name, or nothing.
[[nodiscard]] std::optional<kernels::Precision> ParsePrecision(std::string_view name);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_PRECISION_H_
