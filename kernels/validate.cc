#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/attend.h"

namespace attention::kernels {
namespace {

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Invalid(absl::string_view field, absl::string_view got, absl::string_view want) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": got ", got, ", want ", want));
}

std::string ShapeText(const Extents& extents) {
  return absl::StrCat("[", extents[0], ", ", extents[1], ", ", extents[2], ", ", extents[3], "]");
}

bool IsFloating(DataType type) { return type != DataType::kBool; }

// Whether the elements' bytes can be counted in 64 bits.
bool FitsInMemory(const Extents& extents, DataType type) {
  int64_t bytes = static_cast<int64_t>(ElementBytes(type));
  for (const int64_t extent : extents) {
    if (__builtin_mul_overflow(bytes, extent, &bytes)) return false;
  }
  return true;
}

absl::Status CheckOperand(absl::string_view field, const TensorView& view, DataType type) {
  if (view.type != type) {
    return Invalid(absl::StrCat(field, ".type"), ToAbsl(Name(view.type)),
                   absl::StrCat(ToAbsl(Name(type)), " as the query"));
  }
  for (int axis = 0; axis < 4; ++axis) {
    const int64_t extent = view.extents[axis];
    const bool may_be_zero = axis == 0 || axis == 2;  // an empty batch or sequence
    if (extent < (may_be_zero ? 0 : 1)) {
      return Invalid(absl::StrCat(field, ".extents[", axis, "]"), absl::StrCat(extent),
                     may_be_zero ? ">= 0" : "> 0");
    }
  }
  if (!FitsInMemory(view.extents, view.type)) {
    return Invalid(absl::StrCat(field, ".extents"), ShapeText(view.extents),
                   "fewer than 2^63 bytes");
  }
  if (ElementCount(view.extents) > 0 && !view.present()) {
    return Invalid(absl::StrCat(field, ".data"), "null", "an array");
  }
  if (view.extents[3] > 1 && view.strides[3] != 1) {
    return Invalid(absl::StrCat(field, ".strides[3]"), absl::StrCat(view.strides[3]), "1");
  }
  return absl::OkStatus();
}

absl::Status CheckExtent(absl::string_view field, int64_t got, int64_t want,
                         absl::string_view whose) {
  if (got == want) return absl::OkStatus();
  return Invalid(field, absl::StrCat(got), absl::StrCat(want, " as ", whose));
}

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

absl::Status CheckDense(absl::string_view field, const TensorView& view, const Extents& extents,
                        DataType type) {
  if (view.type != type) {
    return Invalid(absl::StrCat(field, ".type"), ToAbsl(Name(view.type)), ToAbsl(Name(type)));
  }
  if (view.extents != extents) {
    return Invalid(absl::StrCat(field, ".extents"), ShapeText(view.extents), ShapeText(extents));
  }
  if (!FitsInMemory(extents, type)) {
    return Invalid(absl::StrCat(field, ".extents"), ShapeText(extents), "fewer than 2^63 bytes");
  }
  if (ElementCount(extents) > 0 && !view.present()) {
    return Invalid(absl::StrCat(field, ".data"), "null", "an array");
  }
  if (view.strides != DenseStrides(extents)) {
    return Invalid(absl::StrCat(field, ".strides"), ShapeText(view.strides),
                   ShapeText(DenseStrides(extents)));
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
                  {"rotary", problem.rotary.has_value()},
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
  if (status.ok()) status = CheckOutputs(problem, options, outputs);
  return status;
}

}  // namespace attention::kernels
