#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "kernels/attend.h"
#include "kernels/field_checks.h"
#include "kernels/rotary_embedding.h"

namespace attention::kernels {
namespace {

absl::Status CheckRelations(const AttentionProblem& problem, ScoreKind score) {
  const Extents& query = problem.query.extents;
  const Extents& key = problem.key.extents;
  const Extents& value = problem.value.extents;
  absl::Status status = CheckExtent("key.extents[0]", key[0], query[0], "query.extents[0]");
  status.Update(CheckExtent("value.extents[0]", value[0], query[0], "query.extents[0]"));
  if (score == ScoreKind::kDotProduct) {  // the weights of other scores join any two widths
    status.Update(CheckExtent("key.extents[3]", key[3], query[3], "query.extents[3]"));
  }
  status.Update(CheckExtent("value.extents[1]", value[1], key[1], "key.extents[1]"));
  status.Update(CheckExtent("value.extents[2]", value[2], key[2], "key.extents[2]"));
  if (status.ok() && query[1] % key[1] != 0) {
    status = Invalid("query.extents[1]", absl::StrCat(query[1]),
                     absl::StrCat("a multiple of key.extents[1] = ", key[1]));
  }
  return status;
}

Extents ScoreExtents(const AttentionProblem& problem) {
  return {problem.query.extents[0], problem.query.extents[1], problem.query.extents[2],
          problem.key.extents[2]};
}

absl::Status CheckMask(absl::string_view field, const TensorView& mask,
                       const AttentionProblem& problem, bool boolean) {
  if (!mask.present()) return absl::OkStatus();
  if (IsFloating(mask.type) == boolean) {
    return Invalid(absl::StrCat(field, ".type"), ToAbsl(Name(mask.type)),
                   boolean ? "BOOL" : "a floating point type");
  }
  if (mask.extents != ScoreExtents(problem)) {
    return Invalid(absl::StrCat(field, ".extents"), ShapeText(mask.extents),
                   ShapeText(ScoreExtents(problem)));
  }
  return absl::OkStatus();
}

absl::Status CheckKeyLengths(const AttentionProblem& problem) {
  const auto& lengths = problem.key_lengths;
  if (lengths.empty()) return absl::OkStatus();
  if (static_cast<int64_t>(lengths.size()) != problem.query.extents[0]) {
    return Invalid("key_lengths", absl::StrCat(lengths.size(), " lengths"),
                   absl::StrCat(problem.query.extents[0], " as query.extents[0]"));
  }
  for (size_t batch = 0; batch < lengths.size(); ++batch) {
    if (lengths[batch] < 0 || lengths[batch] > problem.key.extents[2]) {
      return Invalid(absl::StrCat("key_lengths[", batch, "]"), absl::StrCat(lengths[batch]),
                     absl::StrCat("between 0 and ", problem.key.extents[2]));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckScoreParameters(const AttentionProblem& problem, ScoreKind score) {
  const int64_t query_width = problem.query.extents[3];
  const int64_t key_width = problem.key.extents[3];
  const DataType type = problem.query.type;
  if (score == ScoreKind::kDotProduct) return absl::OkStatus();
  if (score == ScoreKind::kGeneral) {
    return CheckDense("score_first_weight", problem.score_first_weight,
                      {1, 1, query_width, key_width}, type);
  }
  const int64_t hidden_width = problem.score_vector.extents[3];
  if (hidden_width < 1) {
    return Invalid("score_vector.extents[3]", absl::StrCat(hidden_width), "> 0");
  }
  absl::Status status = CheckDense("score_first_weight", problem.score_first_weight,
                                   {1, 1, query_width, hidden_width}, type);
  status.Update(CheckDense("score_second_weight", problem.score_second_weight,
                           {1, 1, key_width, hidden_width}, type));
  status.Update(CheckDense("score_vector", problem.score_vector, {1, 1, 1, hidden_width}, type));
  return status;
}

// What no implementation offers yet.
absl::Status CheckOffered(const AttentionProblem& problem, const AttentionOptions& options,
                          const AttentionOutputs& outputs) {
  const struct {
    absl::string_view field;
    bool used;
  } features[] = {{"query_offsets", !problem.query_offsets.empty()},
                  {"prefix_lengths", !problem.prefix_lengths.empty()},
                  {"left_window", problem.left_window.has_value()},
                  {"right_window", problem.right_window.has_value()},
                  {"query_segments", !problem.query_segments.empty()},
                  {"key_segments", !problem.key_segments.empty()},
                  {"block_mask", problem.block_mask.mask.present()},
                  {"sinks", !problem.sinks.empty()},
                  {"temperatures", !problem.temperatures.empty()},
                  {"head_factors", !problem.head_factors.empty()},
                  {"alibi", !problem.alibi.slopes.empty()},
                  {"bucketed_bias", !problem.bucketed_bias.table.empty()},
                  {"softcap", options.softcap.has_value()},
                  {"fully_masked", options.fully_masked != FullyMasked::kZeros},
                  {"scores", options.scores == ScoresOutput::kCapped},
                  {"float64", options.float64},
                  {"statistics", outputs.AsksForStatistics()}};
  for (const auto& feature : features) {
    if (feature.used) return absl::UnimplementedError(absl::StrCat(feature.field, ": not offered"));
  }
  return absl::OkStatus();
}

absl::Status CheckOptions(const AttentionProblem& problem, const AttentionOptions& options) {
  if (options.scale.has_value() && !std::isfinite(*options.scale)) {
    return Invalid("scale", std::isnan(*options.scale) ? "NaN" : "an infinity", "a finite number");
  }
  if (problem.multiplicative_mask.present() && options.normalization != Normalization::kNone) {
    return Invalid("multiplicative_mask", "a softmax normalization", "normalization none");
  }
  return CheckScoreParameters(problem, options.score);
}

absl::Status CheckRotary(const AttentionProblem& problem, ScoreKind score) {
  if (!problem.rotary.has_value()) return absl::OkStatus();
  if (score != ScoreKind::kDotProduct) {
    return absl::UnimplementedError("rotary: not offered with another score than the dot product");
  }
  return ValidateRotaryEmbedding(*problem.rotary, problem.key.extents[3]);
}

absl::Status CheckOutputs(const AttentionProblem& problem, const AttentionOptions& options,
                          const AttentionOutputs& outputs) {
  const Extents& query = problem.query.extents;
  const Extents output_extents = {query[0], query[1], query[2], problem.value.extents[3]};
  if (outputs.output.extents != output_extents) {
    return Invalid("output.extents", ShapeText(outputs.output.extents), ShapeText(output_extents));
  }
  absl::Status status = CheckOperand("output", outputs.output, problem.query.type);
  if (status.ok() && outputs.weights.present()) {
    status = CheckDense("weights", outputs.weights, ScoreExtents(problem), problem.query.type);
  }
  if (status.ok() && options.scores != ScoresOutput::kNone) {
    status = CheckDense("scores", outputs.scores, ScoreExtents(problem), problem.query.type);
  }
  return status;
}

}  // namespace

absl::Status Validate(const AttentionProblem& problem, const AttentionOptions& options,
                      const AttentionOutputs& outputs) {
  const DataType type = problem.query.type;
  if (!IsFloating(type)) return Invalid("query.type", ToAbsl(Name(type)), "a floating point type");
  absl::Status status = CheckOperand("query", problem.query, type);
  status.Update(CheckOperand("key", problem.key, type));
  status.Update(CheckOperand("value", problem.value, type));
  if (status.ok()) status = CheckRelations(problem, options.score);
  if (status.ok() && !FitsInMemory(ScoreExtents(problem), type)) {
    status = Invalid("query.extents[2]", absl::StrCat(problem.query.extents[2]),
                     "a score matrix of fewer than 2^63 bytes");
  }
  if (!status.ok()) return status;
  status.Update(CheckOffered(problem, options, outputs));
  status.Update(CheckMask("boolean_mask", problem.boolean_mask, problem, true));
  status.Update(CheckMask("additive_mask", problem.additive_mask, problem, false));
  status.Update(CheckMask("multiplicative_mask", problem.multiplicative_mask, problem, false));
  status.Update(CheckKeyLengths(problem));
  status.Update(CheckOptions(problem, options));
  status.Update(CheckRotary(problem, options.score));
  if (status.ok()) status = CheckOutputs(problem, options, outputs);
  return status;
}

}  // namespace attention::kernels
