#include <cmath>
#include <optional>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/field_checks.h"
#include "kernels/problem_checks.h"
#include "kernels/rotary_embedding.h"

namespace attention::kernels {
namespace {

std::string NumberText(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "infinity" : "-infinity";
  return absl::StrCat(number);
}

bool IsFinite(double number) { return std::isfinite(number); }
bool IsFiniteAndPositive(double number) { return std::isfinite(number) && number > 0; }
bool IsNumber(double number) { return !std::isnan(number); }

// What each number must be.
struct Wanted {
  bool (*holds)(double);
  absl::string_view text;
};

absl::Status CheckNumber(absl::string_view field, const std::optional<double>& number,
                         const Wanted& wanted) {
  if (!number.has_value() || wanted.holds(*number)) return absl::OkStatus();
  return Invalid(field, NumberText(*number), wanted.text);
}

absl::Status CheckNumbers(absl::string_view field, std::span<const double> numbers,
                          const Wanted& wanted) {
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (!wanted.holds(numbers[i])) {
      return Invalid(absl::StrCat(field, "[", i, "]"), NumberText(numbers[i]), wanted.text);
    }
  }
  return absl::OkStatus();
}

// Empty, or a number for each query head.
absl::Status CheckHeadNumbers(absl::string_view field, std::span<const double> numbers,
                              int64_t head_count, const Wanted& wanted) {
  if (numbers.empty()) return absl::OkStatus();
  if (static_cast<int64_t>(numbers.size()) != head_count) {
    return Invalid(field, absl::StrCat(numbers.size(), " numbers"),
                   absl::StrCat(head_count, " as query.extents[1]"));
  }
  return CheckNumbers(field, numbers, wanted);
}

absl::Status CheckBucketedBias(const BucketedBias& bias, int64_t head_count) {
  if (bias.table.empty()) return absl::OkStatus();
  const int64_t least = bias.bidirectional ? 4 : 2;
  if (bias.bucket_count < least || bias.bucket_count % 2 != 0) {
    return Invalid("bucketed_bias.bucket_count", absl::StrCat(bias.bucket_count),
                   absl::StrCat("an even number >= ", least,
                                bias.bidirectional ? " as it is bidirectional" : ""));
  }
  int64_t table_size;
  if (__builtin_mul_overflow(bias.bucket_count, head_count, &table_size) ||
      static_cast<int64_t>(bias.table.size()) != table_size) {
    return Invalid(
        "bucketed_bias.table", absl::StrCat(bias.table.size(), " numbers"),
        absl::StrCat("bucket_count * query.extents[1] = ", bias.bucket_count, " * ", head_count));
  }
  const int64_t exact_count = (bias.bidirectional ? bias.bucket_count / 2 : bias.bucket_count) / 2;
  if (bias.maximum_distance <= exact_count) {
    return Invalid("bucketed_bias.maximum_distance", absl::StrCat(bias.maximum_distance),
                   absl::StrCat("> ", exact_count, ", the distances with a bucket of their own"));
  }
  return CheckNumbers("bucketed_bias.table", bias.table, {IsFinite, "a finite number"});
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

absl::Status CheckRotary(const AttentionProblem& problem, ScoreKind score) {
  if (!problem.rotary.has_value()) return absl::OkStatus();
  if (score != ScoreKind::kDotProduct) {
    return absl::UnimplementedError("rotary: not offered with another score than the dot product");
  }
  return ValidateRotaryEmbedding(*problem.rotary, problem.key.extents[3]);
}

}  // namespace

absl::Status CheckScores(const AttentionProblem& problem, const AttentionOptions& options) {
  const Wanted finite = {IsFinite, "a finite number"};
  const Wanted positive = {IsFiniteAndPositive, "a finite number > 0"};
  const Wanted number = {IsNumber, "a number"};
  const int64_t head_count = problem.query.extents[1];
  absl::Status status = CheckNumber("scale", options.scale, finite);
  status.Update(CheckNumber("softcap", options.softcap, positive));
  status.Update(CheckHeadNumbers("sinks", problem.sinks, head_count, number));
  status.Update(CheckHeadNumbers("temperatures", problem.temperatures, head_count, positive));
  status.Update(CheckHeadNumbers("head_factors", problem.head_factors, head_count, finite));
  status.Update(CheckHeadNumbers("alibi.slopes", problem.alibi.slopes, head_count, finite));
  status.Update(CheckBucketedBias(problem.bucketed_bias, head_count));
  status.Update(CheckScoreParameters(problem, options.score));
  status.Update(CheckRotary(problem, options.score));
  return status;
}

}  // namespace attention::kernels
