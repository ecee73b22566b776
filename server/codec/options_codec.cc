#include "server/codec/options_codec.h"

#include <cmath>
#include <cstring>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/mask_codec.h"
#include "server/codec/operand_checks.h"
#include "server/codec/precision_codec.h"
#include "server/codec/protocol_limits.h"
#include "server/codec/status_macros.h"

namespace attention::server {
namespace {

constexpr absl::string_view kQueries = "the queries";

absl::Status DecodeScale(const v1::AttentionOptions& options, AttentionTask& task) {
  if (!options.has_scale()) return absl::OkStatus();
  if (!std::isfinite(options.scale())) {
    return FieldError("options.scale", std::isnan(options.scale()) ? "NaN" : "an infinity",
                      "a finite number");
  }
  task.options.scale = options.scale();
  return absl::OkStatus();
}

// A parameter of a score: dense, in the queries' type, of the given rank.
absl::StatusOr<WireTensor> ReadParameter(bool present, const v1::Tensor& tensor,
                                         absl::string_view path, int rank,
                                         const AttentionTask& task, TensorReader& reader) {
  if (!present) return MissingField(path);
  ATTENTION_ASSIGN_OR_RETURN(WireTensor result, reader.Read(tensor, path));
  ATTENTION_RETURN_IF_ERROR(CheckSameType(result, path, WireType(task.type), kQueries));
  ATTENTION_RETURN_IF_ERROR(CheckRank(result, path, rank));
  return result;
}

absl::Status DecodeGeneralScore(const v1::GeneralScore& score, TensorReader& reader,
                                AttentionTask& task) {
  constexpr absl::string_view kPath = "options.general_score.weight";
  const int64_t query_width = task.query.view.extents[3];
  const int64_t key_width = task.key.view.extents[3];
  ATTENTION_ASSIGN_OR_RETURN(
      const WireTensor weight,
      ReadParameter(score.has_weight(), score.weight(), kPath, 2, task, reader));
  ATTENTION_RETURN_IF_ERROR(
      CheckSame(ShapePath(kPath, 0), weight.shape[0], query_width, "the query width of one head"));
  ATTENTION_RETURN_IF_ERROR(
      CheckSame(ShapePath(kPath, 1), weight.shape[1], key_width, "the key width of one head"));
  task.options.score = kernels::ScoreKind::kGeneral;
  task.problem.score_first_weight =
      kernels::DenseView(weight.data, task.type, {1, 1, query_width, key_width});
  return absl::OkStatus();
}

absl::Status DecodeAdditiveScore(const v1::AdditiveScore& score, TensorReader& reader,
                                 AttentionTask& task) {
  constexpr absl::string_view kQueryPath = "options.additive_score.query_weight";
  constexpr absl::string_view kKeyPath = "options.additive_score.key_weight";
  constexpr absl::string_view kVectorPath = "options.additive_score.vector";
  const int64_t query_width = task.query.view.extents[3];
  const int64_t key_width = task.key.view.extents[3];
  ATTENTION_ASSIGN_OR_RETURN(
      const WireTensor query_weight,
      ReadParameter(score.has_query_weight(), score.query_weight(), kQueryPath, 2, task, reader));
  ATTENTION_ASSIGN_OR_RETURN(
      const WireTensor key_weight,
      ReadParameter(score.has_key_weight(), score.key_weight(), kKeyPath, 2, task, reader));
  ATTENTION_ASSIGN_OR_RETURN(
      const WireTensor vector,
      ReadParameter(score.has_vector(), score.vector(), kVectorPath, 1, task, reader));
  const int64_t hidden_width = query_weight.shape[1];
  ATTENTION_RETURN_IF_ERROR(CheckSame(ShapePath(kQueryPath, 0), query_weight.shape[0], query_width,
                                      "the query width of one head"));
  ATTENTION_RETURN_IF_ERROR(CheckRange(ShapePath(kQueryPath, 1), hidden_width, 1, kMaxWidth));
  ATTENTION_RETURN_IF_ERROR(CheckSame(ShapePath(kKeyPath, 0), key_weight.shape[0], key_width,
                                      "the key width of one head"));
  ATTENTION_RETURN_IF_ERROR(
      CheckSame(ShapePath(kKeyPath, 1), key_weight.shape[1], hidden_width, kQueryPath));
  ATTENTION_RETURN_IF_ERROR(
      CheckSame(ShapePath(kVectorPath, 0), vector.shape[0], hidden_width, kQueryPath));
  task.options.score = kernels::ScoreKind::kAdditive;
  task.problem.score_first_weight =
      kernels::DenseView(query_weight.data, task.type, {1, 1, query_width, hidden_width});
  task.problem.score_second_weight =
      kernels::DenseView(key_weight.data, task.type, {1, 1, key_width, hidden_width});
  task.problem.score_vector = kernels::DenseView(vector.data, task.type, {1, 1, 1, hidden_width});
  return absl::OkStatus();
}

absl::Status DecodeNormalization(const v1::AttentionOptions& options, AttentionTask& task) {
  switch (options.normalization()) {
    case v1::NORMALIZATION_UNSPECIFIED:
    case v1::NORMALIZATION_SOFTMAX_OVER_KEYS:
      task.options.normalization = kernels::Normalization::kSoftmaxOverKeys;
      return absl::OkStatus();
    case v1::NORMALIZATION_SOFTMAX_OVER_QUERIES:
      task.options.normalization = kernels::Normalization::kSoftmaxOverQueries;
      return absl::OkStatus();
    case v1::NORMALIZATION_NONE:
      task.options.normalization = kernels::Normalization::kNone;
      return absl::OkStatus();
    default:
      return FieldError("options.normalization", static_cast<int>(options.normalization()),
                        absl::StrCat("0 to ", static_cast<int>(v1::Normalization_MAX)));
  }
}

absl::Status DecodeReturnScores(const v1::AttentionOptions& options, AttentionTask& task) {
  switch (options.return_scores()) {
    case v1::SCORES_KIND_UNSPECIFIED:
      task.options.scores = kernels::ScoresOutput::kNone;
      return absl::OkStatus();
    case v1::SCORES_KIND_RAW:
      task.options.scores = kernels::ScoresOutput::kRaw;
      return absl::OkStatus();
    case v1::SCORES_KIND_MASKED:
      task.options.scores = kernels::ScoresOutput::kMasked;
      return absl::OkStatus();
    default:
      return FieldError("options.return_scores", static_cast<int>(options.return_scores()),
                        absl::StrCat("0 to ", static_cast<int>(v1::ScoresKind_MAX)));
  }
}

absl::Status DecodePrecision(const v1::AttentionOptions& options, AttentionTask& task) {
  constexpr absl::string_view kPath = "options.precision";
  if (options.precision() == v1::PRECISION_UNSPECIFIED) return absl::OkStatus();
  const std::optional<kernels::Precision> precision = KernelPrecision(options.precision());
  if (!precision.has_value()) {
    return FieldError(kPath, static_cast<int>(options.precision()),
                      absl::StrCat("0 to ", static_cast<int>(v1::Precision_MAX)));
  }
  if (task.type != kernels::DataType::kF32) {
    return FieldError(kPath, v1::Precision_Name(options.precision()),
                      absl::StrCat("PRECISION_UNSPECIFIED where the data_type of ", kQueries,
                                   " is ", TypeName(WireType(task.type))));
  }
  task.options.precision = *precision;
  return absl::OkStatus();
}

}  // namespace

absl::Status DecodeOptions(const v1::AttentionOptions& options, TensorReader& reader,
                           AttentionTask& task) {
  ATTENTION_RETURN_IF_ERROR(DecodeScale(options, task));
  ATTENTION_RETURN_IF_ERROR(DecodeNormalization(options, task));
  if (options.has_general_score()) {
    ATTENTION_RETURN_IF_ERROR(DecodeGeneralScore(options.general_score(), reader, task));
  } else if (options.has_additive_score()) {
    ATTENTION_RETURN_IF_ERROR(DecodeAdditiveScore(options.additive_score(), reader, task));
  }
  ATTENTION_RETURN_IF_ERROR(DecodeMasks(options, reader, task));
  ATTENTION_RETURN_IF_ERROR(DecodePrecision(options, task));
  task.return_weights = options.return_weights();
  return DecodeReturnScores(options, task);
}

}  // namespace attention::server
