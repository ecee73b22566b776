#include "server/codec/score_codec.h"

#include "server/codec/field_error.h"
#include "server/codec/operand_checks.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

absl::Status DecodeScale(const OptionsDecoding& decoding) {
  if (!decoding.options.has_scale()) return absl::OkStatus();
  decoding.task.options.scale = decoding.options.scale();
  return CheckFinite("options.scale", decoding.options.scale());
}

absl::Status DecodeSoftcap(const OptionsDecoding& decoding) {
  if (!decoding.options.has_softcap()) return absl::OkStatus();
  decoding.task.options.softcap = decoding.options.softcap();
  return CheckPositive("options.softcap", decoding.options.softcap());
}

// A parameter of a score: dense, in the queries' type, of the given rank.
absl::StatusOr<WireTensor> ReadParameter(bool present, const v1::Tensor& tensor,
                                         absl::string_view path, int rank,
                                         const OptionsDecoding& decoding) {
  if (!present) return MissingField(path);
  ATTENTION_ASSIGN_OR_RETURN(WireTensor result, decoding.reader.Read(tensor, path));
  ATTENTION_RETURN_IF_ERROR(
      CheckSameType(result, path, WireType(decoding.task.type), "the queries"));
  ATTENTION_RETURN_IF_ERROR(CheckRank(result, path, rank));
  return result;
}

absl::Status DecodeGeneralScore(const OptionsDecoding& decoding) {
  constexpr absl::string_view kPath = "options.general_score.weight";
  const v1::GeneralScore& score = decoding.options.general_score();
  AttentionTask& task = decoding.task;
  const int64_t query_width = task.query.view.extents[3];
  const int64_t key_width = task.key.view.extents[3];
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor weight,
                             ReadParameter(score.has_weight(), score.weight(), kPath, 2, decoding));
  ATTENTION_RETURN_IF_ERROR(
      CheckExtent(weight, kPath, 0, query_width, "the query width of one head"));
  ATTENTION_RETURN_IF_ERROR(CheckExtent(weight, kPath, 1, key_width, "the key width of one head"));
  task.options.score = kernels::ScoreKind::kGeneral;
  task.problem.score_first_weight =
      kernels::DenseView(weight.data, task.type, {1, 1, query_width, key_width});
  return absl::OkStatus();
}

absl::Status DecodeAdditiveScore(const OptionsDecoding& decoding) {
  constexpr absl::string_view kQueryPath = "options.additive_score.query_weight";
  constexpr absl::string_view kKeyPath = "options.additive_score.key_weight";
  constexpr absl::string_view kVectorPath = "options.additive_score.vector";
  const v1::AdditiveScore& score = decoding.options.additive_score();
  AttentionTask& task = decoding.task;
  const int64_t query_width = task.query.view.extents[3];
  const int64_t key_width = task.key.view.extents[3];
  ATTENTION_ASSIGN_OR_RETURN(
      const WireTensor query_weight,
      ReadParameter(score.has_query_weight(), score.query_weight(), kQueryPath, 2, decoding));
  ATTENTION_ASSIGN_OR_RETURN(
      const WireTensor key_weight,
      ReadParameter(score.has_key_weight(), score.key_weight(), kKeyPath, 2, decoding));
  ATTENTION_ASSIGN_OR_RETURN(
      const WireTensor vector,
      ReadParameter(score.has_vector(), score.vector(), kVectorPath, 1, decoding));
  const int64_t hidden_width = query_weight.shape[1];
  ATTENTION_RETURN_IF_ERROR(
      CheckExtent(query_weight, kQueryPath, 0, query_width, "the query width of one head"));
  ATTENTION_RETURN_IF_ERROR(CheckRange(ShapePath(kQueryPath, 1), hidden_width, 1, kMaxWidth));
  ATTENTION_RETURN_IF_ERROR(
      CheckExtent(key_weight, kKeyPath, 0, key_width, "the key width of one head"));
  ATTENTION_RETURN_IF_ERROR(CheckExtent(key_weight, kKeyPath, 1, hidden_width, kQueryPath));
  ATTENTION_RETURN_IF_ERROR(CheckExtent(vector, kVectorPath, 0, hidden_width, kQueryPath));
  task.options.score = kernels::ScoreKind::kAdditive;
  task.problem.score_first_weight =
      kernels::DenseView(query_weight.data, task.type, {1, 1, query_width, hidden_width});
  task.problem.score_second_weight =
      kernels::DenseView(key_weight.data, task.type, {1, 1, key_width, hidden_width});
  task.problem.score_vector = kernels::DenseView(vector.data, task.type, {1, 1, 1, hidden_width});
  return absl::OkStatus();
}

}  // namespace

absl::Status DecodeScore(const OptionsDecoding& decoding) {
  ATTENTION_RETURN_IF_ERROR(DecodeScale(decoding));
  ATTENTION_RETURN_IF_ERROR(DecodeSoftcap(decoding));
  if (decoding.options.has_general_score()) return DecodeGeneralScore(decoding);
  if (decoding.options.has_additive_score()) return DecodeAdditiveScore(decoding);
  return absl::OkStatus();
}

}  // namespace attention::server
