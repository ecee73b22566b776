#include "tests/benchmark/relative_error.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"

namespace attention::benchmark {
namespace {

constexpr double kThreeProductsError = 2e-5;

}  // namespace

void RelativeError::Add(const std::vector<double>& want, const std::vector<double>& got,
                        const std::vector<double>& naive) {
  for (size_t i = 0; i < want.size(); ++i) {
    want_ += want[i] * want[i];
    got_distance_ += (got[i] - want[i]) * (got[i] - want[i]);
    naive_distance_ += (naive[i] - want[i]) * (naive[i] - want[i]);
  }
}

absl::Status RelativeError::Judge(absl::string_view what, kernels::DataType type,
                                  std::string_view precision) const {
  const double two_roundings = type == kernels::DataType::kF32 ? 0x1p-23 : 0x1p-8;
  const double limit = precision == "bf16_x3"
                           ? kThreeProductsError
                           : std::max(2 * std::sqrt(naive_distance_ / want_), two_roundings);
  const double error = std::sqrt(got_distance_ / want_);
  if (error <= limit) return absl::OkStatus();  // false for NaN
  return absl::InternalError(
      absl::StrCat(what, ": relative error ", error, ", want at most ", limit));
}

kernels::DataType NaiveType(kernels::DataType type, std::string_view precision) {
  return precision == "bf16" ? kernels::DataType::kBF16 : type;
}

}  // namespace attention::benchmark
