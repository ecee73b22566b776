#include "server/codec/options_codec.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "server/codec/batch_integers.h"
#include "server/codec/bias_codec.h"
#include "server/codec/field_error.h"
#include "server/codec/head_numbers.h"
#include "server/codec/mask_codec.h"
#include "server/codec/positions_codec.h"
#include "server/codec/precision_codec.h"
#include "server/codec/score_codec.h"
#include "server/codec/statistics_codec.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

absl::Status DecodeNormalization(const OptionsDecoding& decoding) {
  kernels::Normalization& normalization = decoding.task.options.normalization;
  switch (decoding.options.normalization()) {
    case v1::NORMALIZATION_UNSPECIFIED:
    case v1::NORMALIZATION_SOFTMAX_OVER_KEYS:
      normalization = kernels::Normalization::kSoftmaxOverKeys;
      return absl::OkStatus();
    case v1::NORMALIZATION_SOFTMAX_OVER_QUERIES:
      normalization = kernels::Normalization::kSoftmaxOverQueries;
      return absl::OkStatus();
    case v1::NORMALIZATION_NONE:
      normalization = kernels::Normalization::kNone;
      return absl::OkStatus();
    default:
      return UnknownEnumerator("options.normalization", decoding.options.normalization(),
                               v1::Normalization_MAX);
  }
}

absl::StatusOr<kernels::FullyMasked> PolicyOf(v1::FullyMaskedPolicy policy) {
  switch (policy) {
    case v1::FULLY_MASKED_POLICY_UNSPECIFIED:
    case v1::FULLY_MASKED_POLICY_ZEROS:
      return kernels::FullyMasked::kZeros;
    case v1::FULLY_MASKED_POLICY_NAN:
      return kernels::FullyMasked::kNan;
    case v1::FULLY_MASKED_POLICY_UNIFORM:
      return kernels::FullyMasked::kUniform;
    default:
      return UnknownEnumerator("options.fully_masked", policy, v1::FullyMaskedPolicy_MAX);
  }
}

absl::Status DecodeFullyMasked(const OptionsDecoding& decoding) {
  const v1::AttentionOptions& options = decoding.options;
  kernels::AttentionOptions& result = decoding.task.options;
  ATTENTION_ASSIGN_OR_RETURN(result.fully_masked, PolicyOf(options.fully_masked()));
  if (result.fully_masked == kernels::FullyMasked::kZeros ||
      result.normalization == kernels::Normalization::kSoftmaxOverKeys) {
    return absl::OkStatus();
  }
  return NotOffered(
      absl::StrCat("options.fully_masked ", v1::FullyMaskedPolicy_Name(options.fully_masked())),
      absl::StrCat("options.normalization ", v1::Normalization_Name(options.normalization())));
}

absl::Status DecodeSoftmaxType(const OptionsDecoding& decoding) {
  constexpr absl::string_view kPath = "options.softmax_type";
  const v1::DataType type = decoding.options.softmax_type();
  if (!v1::DataType_IsValid(type)) {
    return UnknownEnumerator(kPath, type, v1::DataType_MAX);
  }
  if (type != v1::DATA_TYPE_UNSPECIFIED && !IsFloatingPoint(type)) {
    return FieldError(kPath, TypeName(type), "DATA_TYPE_F32, F16, BF16 or F64");
  }
  decoding.task.options.float64 = type == v1::DATA_TYPE_F64;
  return absl::OkStatus();
}

absl::Status DecodePrecision(const OptionsDecoding& decoding) {
  constexpr absl::string_view kPath = "options.precision";
  const v1::Precision wanted = decoding.options.precision();
  if (wanted == v1::PRECISION_UNSPECIFIED) return absl::OkStatus();
  const std::optional<kernels::Precision> precision = KernelPrecision(wanted);
  if (!precision.has_value()) {
    return UnknownEnumerator(kPath, wanted, v1::Precision_MAX);
  }
  if (decoding.task.type != kernels::DataType::kF32) {
    return FieldError(kPath, v1::Precision_Name(wanted),
                      absl::StrCat("PRECISION_UNSPECIFIED where the data_type of the queries is ",
                                   TypeName(WireType(decoding.task.type))));
  }
  decoding.task.options.precision = *precision;
  return absl::OkStatus();
}

}  // namespace

absl::Status DecodeOptions(const OptionsDecoding& decoding) {
  ATTENTION_RETURN_IF_ERROR(DecodeNormalization(decoding));
  ATTENTION_RETURN_IF_ERROR(DecodeScore(decoding));
  ATTENTION_RETURN_IF_ERROR(DecodeKeyLengths(decoding));
  ATTENTION_RETURN_IF_ERROR(DecodePositions(decoding));
  ATTENTION_RETURN_IF_ERROR(DecodeMasks(decoding));
  ATTENTION_RETURN_IF_ERROR(DecodeSegments(decoding));
  ATTENTION_RETURN_IF_ERROR(DecodeHeadNumbers(decoding));
  ATTENTION_RETURN_IF_ERROR(DecodeBiases(decoding));
  ATTENTION_RETURN_IF_ERROR(DecodeFullyMasked(decoding));
  ATTENTION_RETURN_IF_ERROR(DecodeSoftmaxType(decoding));
  ATTENTION_RETURN_IF_ERROR(DecodePrecision(decoding));
  return DecodeReturns(decoding);
}

}  // namespace attention::server
