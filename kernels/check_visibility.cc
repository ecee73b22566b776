#include <optional>
#include <span>

#include "absl/strings/str_cat.h"
#include "kernels/field_checks.h"
#include "kernels/problem_checks.h"

namespace attention::kernels {
namespace {

absl::Status CheckMask(absl::string_view field, const TensorView& mask, const Extents& extents,
                       bool boolean) {
  if (!mask.present()) return absl::OkStatus();
  if (IsFloating(mask.type) == boolean) {
    return Invalid(absl::StrCat(field, ".type"), ToAbsl(Name(mask.type)),
                   boolean ? "BOOL" : "a floating point type");
  }
  if (mask.extents != extents) {
    return Invalid(absl::StrCat(field, ".extents"), ShapeText(mask.extents), ShapeText(extents));
  }
  return absl::OkStatus();
}

// Numbers of keys, one for each batch entry.
absl::Status CheckLengths(absl::string_view field, std::span<const int64_t> lengths,
                          const AttentionProblem& problem) {
  if (lengths.empty()) return absl::OkStatus();
  if (static_cast<int64_t>(lengths.size()) != problem.query.extents[0]) {
    return Invalid(field, absl::StrCat(lengths.size(), " lengths"),
                   absl::StrCat(problem.query.extents[0], " as query.extents[0]"));
  }
  for (size_t batch = 0; batch < lengths.size(); ++batch) {
    if (lengths[batch] < 0 || lengths[batch] > problem.key.extents[2]) {
      return Invalid(absl::StrCat(field, "[", batch, "]"), absl::StrCat(lengths[batch]),
                     absl::StrCat("between 0 and ", problem.key.extents[2]));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPositions(const AttentionProblem& problem) {
  const size_t offset_count = problem.query_offsets.size();
  if (offset_count != 0 && static_cast<int64_t>(offset_count) != problem.query.extents[0]) {
    return Invalid("query_offsets", absl::StrCat(offset_count, " offsets"),
                   absl::StrCat(problem.query.extents[0], " as query.extents[0]"));
  }
  if (!problem.prefix_lengths.empty() && !problem.causal) {
    return Invalid("prefix_lengths", "prefixes without causal", "causal or no prefixes");
  }
  return CheckLengths("prefix_lengths", problem.prefix_lengths, problem);
}

absl::Status CheckWindow(absl::string_view field, const std::optional<int64_t>& window) {
  if (!window.has_value() || *window >= 0) return absl::OkStatus();
  return Invalid(field, absl::StrCat(*window), ">= 0");
}

absl::Status CheckSegmentCount(absl::string_view field, size_t got, const Extents& extents,
                               absl::string_view operand) {
  const int64_t want = extents[0] * extents[2];
  if (static_cast<int64_t>(got) == want) return absl::OkStatus();
  return Invalid(field, absl::StrCat(got, " segments"),
                 absl::StrCat(want, " as ", operand, ".extents[0] * ", operand,
                              ".extents[2], since query_segments and key_segments go together"));
}

absl::Status CheckSegments(const AttentionProblem& problem) {
  if (problem.query_segments.empty() && problem.key_segments.empty()) return absl::OkStatus();
  absl::Status status = CheckSegmentCount("query_segments", problem.query_segments.size(),
                                          problem.query.extents, "query");
  status.Update(
      CheckSegmentCount("key_segments", problem.key_segments.size(), problem.key.extents, "key"));
  return status;
}

absl::Status CheckBlockMask(const AttentionProblem& problem) {
  const BlockMask& blocks = problem.block_mask;
  if (!blocks.mask.present()) return absl::OkStatus();
  if (blocks.query_block_size < 1) {
    return Invalid("block_mask.query_block_size", absl::StrCat(blocks.query_block_size), "> 0");
  }
  if (blocks.key_block_size < 1) {
    return Invalid("block_mask.key_block_size", absl::StrCat(blocks.key_block_size), "> 0");
  }
  const auto block_count = [](int64_t rows, int64_t block_size) {
    return rows / block_size + (rows % block_size == 0 ? 0 : 1);
  };
  Extents extents = ScoreExtents(problem);
  extents[2] = block_count(extents[2], blocks.query_block_size);
  extents[3] = block_count(extents[3], blocks.key_block_size);
  return CheckMask("block_mask.mask", blocks.mask, extents, true);
}

}  // namespace

absl::Status CheckVisibility(const AttentionProblem& problem) {
  const Extents extents = ScoreExtents(problem);
  absl::Status status = CheckMask("boolean_mask", problem.boolean_mask, extents, true);
  status.Update(CheckMask("additive_mask", problem.additive_mask, extents, false));
  status.Update(CheckMask("multiplicative_mask", problem.multiplicative_mask, extents, false));
  status.Update(CheckLengths("key_lengths", problem.key_lengths, problem));
  status.Update(CheckPositions(problem));
  status.Update(CheckWindow("left_window", problem.left_window));
  status.Update(CheckWindow("right_window", problem.right_window));
  status.Update(CheckSegments(problem));
  status.Update(CheckBlockMask(problem));
  return status;
}

}  // namespace attention::kernels
