#include "server/codec/statistics_codec.h"

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/operand_checks.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

absl::Status DecodeReturnScores(const OptionsDecoding& decoding) {
  kernels::ScoresOutput& scores = decoding.task.options.scores;
  switch (decoding.options.return_scores()) {
    case v1::SCORES_KIND_UNSPECIFIED:
      scores = kernels::ScoresOutput::kNone;
      return absl::OkStatus();
    case v1::SCORES_KIND_RAW:
      scores = kernels::ScoresOutput::kRaw;
      return absl::OkStatus();
    case v1::SCORES_KIND_MASKED:
      scores = kernels::ScoresOutput::kMasked;
      return absl::OkStatus();
    case v1::SCORES_KIND_CAPPED:
      scores = kernels::ScoresOutput::kCapped;
      return absl::OkStatus();
    default:
      return UnknownEnumerator("options.return_scores", decoding.options.return_scores(),
                               v1::ScoresKind_MAX);
  }
}

// The first field that asks for statistics; or nothing.
absl::string_view StatisticsField(const v1::AttentionOptions& options) {
  if (options.return_log_sum_exp()) return "options.return_log_sum_exp";
  if (options.return_top_weights() != 0) return "options.return_top_weights";
  if (options.return_entropy()) return "options.return_entropy";
  if (options.return_key_mass()) return "options.return_key_mass";
  if (options.return_maximum_weight()) return "options.return_maximum_weight";
  return {};
}

}  // namespace

absl::Status DecodeReturns(const OptionsDecoding& decoding) {
  const v1::AttentionOptions& options = decoding.options;
  AttentionTask& task = decoding.task;
  task.return_weights = options.return_weights();
  ATTENTION_RETURN_IF_ERROR(DecodeReturnScores(decoding));
  ATTENTION_RETURN_IF_ERROR(CheckRange("options.return_top_weights", options.return_top_weights(),
                                       0, kernels::kMaxTopWeights));
  const absl::string_view field = StatisticsField(options);
  if (!field.empty() && task.options.normalization != kernels::Normalization::kSoftmaxOverKeys) {
    return NotOffered(field, absl::StrCat("options.normalization ",
                                          v1::Normalization_Name(options.normalization())));
  }
  task.statistics = {.log_sum_exp = options.return_log_sum_exp(),
                     .entropy = options.return_entropy(),
                     .maximum_weight = options.return_maximum_weight(),
                     .key_mass = options.return_key_mass(),
                     .top_weight_count = options.return_top_weights()};
  return absl::OkStatus();
}

}  // namespace attention::server
