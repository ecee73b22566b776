#include "absl/strings/str_cat.h"
#include "kernels/attend.h"
#include "kernels/field_checks.h"
#include "kernels/problem_checks.h"

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
  status.Update(CheckVisibility(problem));
  status.Update(CheckScores(problem, options));
  status.Update(CheckResults(problem, options, outputs));
  return status;
}

}  // namespace attention::kernels
