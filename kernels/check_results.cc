#include <limits>

#include "absl/strings/str_cat.h"
#include "kernels/field_checks.h"
#include "kernels/problem_checks.h"

namespace attention::kernels {
namespace {

absl::string_view NormalizationText(Normalization normalization) {
  switch (normalization) {
    case Normalization::kSoftmaxOverKeys:
      return "the softmax over keys";
    case Normalization::kSoftmaxOverQueries:
      return "the softmax over queries";
    case Normalization::kNone:
      return "none";
  }
  return "an unknown one";
}

absl::Status CheckNormalization(const AttentionProblem& problem, const AttentionOptions& options,
                                const AttentionOutputs& outputs) {
  const Normalization normalization = options.normalization;
  if (problem.multiplicative_mask.present() && normalization != Normalization::kNone) {
    return Invalid("multiplicative_mask", "a softmax normalization", "normalization none");
  }
  if (normalization == Normalization::kSoftmaxOverKeys) return absl::OkStatus();
  const struct {
    absl::string_view field;
    bool used;
  } of_rows[] = {{"sinks", !problem.sinks.empty()},
                 {"fully_masked", options.fully_masked != FullyMasked::kZeros},
                 {"log_sum_exp", outputs.log_sum_exp.present()},
                 {"entropy", outputs.entropy.present()},
                 {"maximum_weight", outputs.maximum_weight.present()},
                 {"key_mass", outputs.key_mass.present()},
                 {"top_weights", outputs.top_weights.count > 0}};
  for (const auto& feature : of_rows) {
    if (!feature.used) continue;
    return absl::UnimplementedError(absl::StrCat(
        feature.field, ": offered with the softmax over keys alone, and normalization is ",
        NormalizationText(normalization)));
  }
  return absl::OkStatus();
}

absl::Status CheckStatistic(absl::string_view field, const MutableTensorView& statistic,
                            const Extents& extents, DataType type) {
  if (!statistic.present()) return absl::OkStatus();
  return CheckDense(field, statistic, extents, type);
}

absl::Status CheckTopWeights(const TopWeights& top, const AttentionProblem& problem,
                             DataType type) {
  if (top.count == 0) return absl::OkStatus();
  if (top.count < 0 || top.count > kMaxTopWeights) {
    return Invalid("top_weights.count", absl::StrCat(top.count),
                   absl::StrCat("between 0 and ", kMaxTopWeights));
  }
  Extents extents = ScoreExtents(problem);
  constexpr int64_t kMaxKeys = std::numeric_limits<int32_t>::max();  // their type
  if (extents[3] > kMaxKeys) {
    return Invalid("top_weights", absl::StrCat(extents[3], " keys"),
                   absl::StrCat("at most ", kMaxKeys));
  }
  extents[3] = top.count;
  absl::Status status = CheckDense("top_weights.weights", top.weights, extents, type);
  if (status.ok() && ElementCount(extents) > 0 && top.keys == nullptr) {
    status = Invalid("top_weights.keys", "null", "an array");
  }
  return status;
}

absl::Status CheckStatistics(const AttentionProblem& problem, const AttentionOutputs& outputs) {
  const DataType type = problem.query.type == DataType::kF64 ? DataType::kF64 : DataType::kF32;
  const Extents scores = ScoreExtents(problem);
  const Extents rows = {scores[0], scores[1], scores[2], 1};
  absl::Status status = CheckStatistic("log_sum_exp", outputs.log_sum_exp, rows, type);
  status.Update(CheckStatistic("entropy", outputs.entropy, rows, type));
  status.Update(CheckStatistic("maximum_weight", outputs.maximum_weight, rows, type));
  status.Update(
      CheckStatistic("key_mass", outputs.key_mass, {scores[0], scores[1], 1, scores[3]}, type));
  status.Update(CheckTopWeights(outputs.top_weights, problem, type));
  return status;
}

}  // namespace

absl::Status CheckResults(const AttentionProblem& problem, const AttentionOptions& options,
                          const AttentionOutputs& outputs) {
  if (absl::Status status = CheckNormalization(problem, options, outputs); !status.ok())
    return status;
  const Extents& query = problem.query.extents;
  const Extents output_extents = {query[0], query[1], query[2], problem.value.extents[3]};
  if (outputs.output.extents != output_extents) {
    return Invalid("output.extents", ShapeText(outputs.output.extents), ShapeText(output_extents));
  }
  absl::Status status = CheckOperand("output", outputs.output, problem.query.type);
  if (outputs.weights.present()) {
    status.Update(
        CheckDense("weights", outputs.weights, ScoreExtents(problem), problem.query.type));
  }
  if (options.scores != ScoresOutput::kNone) {
    status.Update(CheckDense("scores", outputs.scores, ScoreExtents(problem), problem.query.type));
  }
  status.Update(CheckStatistics(problem, outputs));
  return status;
}

}  // namespace attention::kernels
