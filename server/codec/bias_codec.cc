#include "server/codec/bias_codec.h"

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/head_numbers.h"
#include "server/codec/operand_checks.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

constexpr NumberRule kFinite = {"a finite number", IsFinite};

absl::Status DecodeAlibi(const OptionsDecoding& decoding) {
  constexpr absl::string_view kPath = "options.alibi.slopes";
  const v1::Alibi& alibi = decoding.options.alibi();
  if (!alibi.has_slopes()) return MissingField(kPath);
  kernels::Alibi& result = decoding.task.problem.alibi;
  ATTENTION_ASSIGN_OR_RETURN(result.slopes,
                             ReadHeadNumbers(alibi.slopes(), kPath, kFinite, decoding));
  result.symmetric = alibi.symmetric();
  return absl::OkStatus();
}

// Half of the buckets that serve one direction hold one distance each.
int64_t ExactDistances(const kernels::BucketedBias& bias) {
  return (bias.bidirectional ? bias.bucket_count / 2 : bias.bucket_count) / 2;
}

absl::Status DecodeRelativePositionBias(const OptionsDecoding& decoding) {
  constexpr absl::string_view kTablePath = "options.relative_position_bias.table";
  constexpr absl::string_view kDistancePath = "options.relative_position_bias.maximum_distance";
  const v1::RelativePositionBias& bias = decoding.options.relative_position_bias();
  if (!bias.has_table()) return MissingField(kTablePath);
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor table,
                             decoding.reader.Read(bias.table(), kTablePath));
  ATTENTION_RETURN_IF_ERROR(CheckRank(table, kTablePath, 2));
  kernels::BucketedBias& result = decoding.task.problem.bucketed_bias;
  result.bidirectional = bias.bidirectional();
  result.bucket_count = table.shape[0];
  ATTENTION_RETURN_IF_ERROR(CheckRange(ShapePath(kTablePath, 0), result.bucket_count,
                                       result.bidirectional ? 4 : 2, kMaxBuckets));
  if (result.bucket_count % 2 != 0) {
    return FieldError(ShapePath(kTablePath, 0), result.bucket_count, "an even number");
  }
  ATTENTION_RETURN_IF_ERROR(
      CheckExtent(table, kTablePath, 1, decoding.query_heads(), "the query heads"));
  if (bias.maximum_distance() != 0) result.maximum_distance = bias.maximum_distance();
  ATTENTION_RETURN_IF_ERROR(
      CheckRange(kDistancePath, result.maximum_distance, 0, kMaxBucketDistance));
  if (result.maximum_distance <= ExactDistances(result)) {
    return FieldError(
        kDistancePath, result.maximum_distance,
        absl::StrCat("> ", ExactDistances(result), " with ", result.bucket_count, " buckets"));
  }
  ATTENTION_ASSIGN_OR_RETURN(result.table, ToDoubles(table, kTablePath, kFinite, decoding.reader));
  return absl::OkStatus();
}

absl::Status DecodeRotaryEmbedding(const OptionsDecoding& decoding) {
  constexpr absl::string_view kPath = "options.rotary_embedding";
  const v1::RotaryEmbedding& rotary = decoding.options.rotary_embedding();
  if (decoding.options.score_case() != v1::AttentionOptions::SCORE_NOT_SET) {
    return NotOffered(kPath, decoding.options.has_general_score() ? "options.general_score"
                                                                  : "options.additive_score");
  }
  kernels::RotaryEmbedding result;
  if (rotary.has_base()) result.base = rotary.base();
  ATTENTION_RETURN_IF_ERROR(CheckPositive("options.rotary_embedding.base", result.base));
  if (rotary.has_position_scale()) result.position_scale = rotary.position_scale();
  ATTENTION_RETURN_IF_ERROR(
      CheckFinite("options.rotary_embedding.position_scale", result.position_scale));
  const int64_t key_width = decoding.task.key.view.extents[3];
  ATTENTION_RETURN_IF_ERROR(
      CheckRange(absl::StrCat(kPath, ".width"), rotary.width(), 0, key_width));
  result.width = rotary.width();
  if ((result.width == 0 ? key_width : result.width) % 2 != 0) {
    return FieldError(
        absl::StrCat(kPath, ".width"), result.width,
        result.width == 0
            ? absl::StrCat("an even number, since the key width of one head is ", key_width)
            : "an even number");
  }
  result.interleaved = rotary.interleaved();
  decoding.task.problem.rotary = result;
  return absl::OkStatus();
}

}  // namespace

absl::Status DecodeBiases(const OptionsDecoding& decoding) {
  const v1::AttentionOptions& options = decoding.options;
  if (options.has_alibi()) ATTENTION_RETURN_IF_ERROR(DecodeAlibi(decoding));
  if (options.has_relative_position_bias()) {
    ATTENTION_RETURN_IF_ERROR(DecodeRelativePositionBias(decoding));
  }
  if (options.has_rotary_embedding()) ATTENTION_RETURN_IF_ERROR(DecodeRotaryEmbedding(decoding));
  return absl::OkStatus();
}

}  // namespace attention::server
