#include "server/codec/head_numbers.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/operand_checks.h"
#include "server/core/status_macros.h"

namespace attention::server {

bool IsFinite(double number) { return std::isfinite(number); }

absl::StatusOr<std::span<const double>> ToDoubles(const WireTensor& tensor, absl::string_view path,
                                                  const NumberRule& rule, TensorReader& reader) {
  const auto count = static_cast<size_t>(tensor.element_count);
  std::span<const double> numbers;
  if (tensor.type == v1::DATA_TYPE_F64) {
    numbers = {static_cast<const double*>(tensor.data), count};
  } else if (tensor.type == v1::DATA_TYPE_F32) {
    const std::span<double> widened = reader.NewNumbers<double>(tensor.element_count);
    for (size_t i = 0; i < count; ++i) widened[i] = static_cast<const float*>(tensor.data)[i];
    numbers = widened;
  } else {
    return FieldError(absl::StrCat(path, ".data_type"), TypeName(tensor.type),
                      "DATA_TYPE_F32 or DATA_TYPE_F64");
  }
  for (size_t i = 0; i < count; ++i) {
    if (!rule.holds(numbers[i])) return ElementError(path, i, rule.want);
  }
  return numbers;
}

absl::StatusOr<std::span<const double>> ReadHeadNumbers(const v1::Tensor& tensor,
                                                        absl::string_view path,
                                                        const NumberRule& rule,
                                                        const OptionsDecoding& decoding) {
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor numbers, decoding.reader.Read(tensor, path));
  ATTENTION_RETURN_IF_ERROR(CheckRank(numbers, path, 1));
  ATTENTION_RETURN_IF_ERROR(
      CheckExtent(numbers, path, 0, decoding.query_heads(), "the query heads"));
  return ToDoubles(numbers, path, rule, decoding.reader);
}

absl::Status DecodeHeadNumbers(const OptionsDecoding& decoding) {
  const v1::AttentionOptions& options = decoding.options;
  kernels::AttentionProblem& problem = decoding.task.problem;
  if (options.has_sinks()) {
    if (decoding.task.options.normalization != kernels::Normalization::kSoftmaxOverKeys) {
      return NotOffered(
          "options.sinks",
          absl::StrCat("options.normalization ", v1::Normalization_Name(options.normalization())));
    }
    const auto is_number = [](double sink) { return !std::isnan(sink); };
    ATTENTION_ASSIGN_OR_RETURN(problem.sinks,
                               ReadHeadNumbers(options.sinks(), "options.sinks",
                                               {"any number but NaN", is_number}, decoding));
  }
  if (options.has_head_mask()) {
    ATTENTION_ASSIGN_OR_RETURN(problem.head_factors,
                               ReadHeadNumbers(options.head_mask(), "options.head_mask",
                                               {"a finite number", IsFinite}, decoding));
  }
  if (options.has_temperature()) {
    const auto divides = [](double divisor) { return std::isfinite(divisor) && divisor > 0; };
    ATTENTION_ASSIGN_OR_RETURN(problem.temperatures,
                               ReadHeadNumbers(options.temperature(), "options.temperature",
                                               {"a finite number > 0", divides}, decoding));
  }
  return absl::OkStatus();
}

}  // namespace attention::server
