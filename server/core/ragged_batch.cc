#include "server/core/ragged_batch.h"

#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

using kernels::MutableTensorView;
using kernels::TensorView;

// Elements of an array for each sequence: those of this one, unless there are none at all.
std::span<const int64_t> ElementOf(std::span<const int64_t> elements, int64_t sequence) {
  return elements.empty() ? elements : elements.subspan(static_cast<size_t>(sequence), 1);
}

TensorView RowsOf(TensorView view, int64_t first, int64_t count) {
  if (view.present()) view.data = kernels::RowAddress(view, 0, 0, first);
  view.extents[2] = count;
  return view;
}

// A statistic [1, heads, rows, columns], dense: the place of rows [first, first + count) where
// those of each sequence stand together.
MutableTensorView StatisticOf(const MutableTensorView& whole, int axis, int64_t first,
                              int64_t count) {
  if (!whole.present()) return whole;
  kernels::Extents extents = whole.extents;
  extents[static_cast<size_t>(axis)] = first;
  const int64_t before = kernels::ElementCount(extents);
  extents[static_cast<size_t>(axis)] = count;
  return kernels::DenseView(static_cast<std::byte*>(whole.data) +
                                before * static_cast<int64_t>(kernels::ElementBytes(whole.type)),
                            whole.type, extents);
}

absl::Status CheckStarts(absl::string_view field, const std::vector<int64_t>& starts,
                         int64_t row_count) {
  const auto invalid = [field](size_t index, int64_t got, absl::string_view want) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, "[", index, "]: got ", got, ", want ", want));
  };
  if (starts.size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": got ", starts.size(), " starts, want at least 2"));
  }
  if (starts[0] != 0) return invalid(0, starts[0], "0");
  for (size_t i = 1; i < starts.size(); ++i) {
    if (starts[i] < starts[i - 1]) return invalid(i, starts[i], absl::StrCat(">= ", starts[i - 1]));
  }
  if (starts.back() == row_count) return absl::OkStatus();
  return invalid(starts.size() - 1, starts.back(), absl::StrCat(row_count, ", the number of rows"));
}

// One element for each sequence, or none.
absl::Status CheckCount(absl::string_view field, std::span<const int64_t> elements,
                        const RaggedRows& rows) {
  const int64_t count = rows.sequence_count();
  if (elements.empty() || static_cast<int64_t>(elements.size()) == count) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": got ", elements.size(), " elements, want ", count, ", the sequences"));
}

absl::Status CheckLengths(absl::string_view field, std::span<const int64_t> lengths,
                          const RaggedRows& rows) {
  ATTENTION_RETURN_IF_ERROR(CheckCount(field, lengths, rows));
  for (size_t s = 0; s < lengths.size(); ++s) {
    const int64_t most = rows.key_count(static_cast<int64_t>(s));
    if (lengths[s] >= 0 && lengths[s] <= most) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(field, "[", s, "]: got ", lengths[s], ", want between 0 and ", most));
  }
  return absl::OkStatus();
}

absl::Status CheckOffered(const kernels::AttentionProblem& whole,
                          const kernels::AttentionOptions& options,
                          const kernels::AttentionOutputs& outputs) {
  const struct {
    absl::string_view field;
    bool used;
  } features[] = {{"boolean_mask", whole.boolean_mask.present()},
                  {"additive_mask", whole.additive_mask.present()},
                  {"multiplicative_mask", whole.multiplicative_mask.present()},
                  {"block_mask", whole.block_mask.mask.present()},
                  {"query_segments", !whole.query_segments.empty()},
                  {"key_segments", !whole.key_segments.empty()},
                  {"weights", outputs.weights.present()},
                  {"scores", options.scores != kernels::ScoresOutput::kNone}};
  for (const auto& feature : features) {
    if (!feature.used) continue;
    return absl::UnimplementedError(
        absl::StrCat(feature.field, ": not offered with a ragged batch"));
  }
  return absl::OkStatus();
}

}  // namespace

kernels::AttentionProblem SequenceOf(const kernels::AttentionProblem& whole, const RaggedRows& rows,
                                     int64_t sequence) {
  const auto index = static_cast<size_t>(sequence);
  kernels::AttentionProblem problem = whole;
  problem.query = RowsOf(whole.query, rows.query_starts[index], rows.query_count(sequence));
  problem.key = RowsOf(whole.key, rows.key_starts[index], rows.key_count(sequence));
  problem.value = RowsOf(whole.value, rows.key_starts[index], rows.key_count(sequence));
  if (!whole.query_offsets.empty()) problem.query_offset = whole.query_offsets[index];
  problem.query_offsets = {};
  problem.key_lengths = ElementOf(whole.key_lengths, sequence);
  problem.prefix_lengths = ElementOf(whole.prefix_lengths, sequence);
  return problem;
}

kernels::AttentionOutputs SequenceOf(const kernels::AttentionOutputs& whole, const RaggedRows& rows,
                                     int64_t sequence) {
  const auto index = static_cast<size_t>(sequence);
  const int64_t first_query = rows.query_starts[index];
  const int64_t query_count = rows.query_count(sequence);
  const auto by_query = [&](const MutableTensorView& view) {
    return StatisticOf(view, 2, first_query, query_count);
  };
  kernels::AttentionOutputs outputs = whole;
  if (whole.output.present()) {
    outputs.output.data = kernels::RowAddress(whole.output, 0, 0, first_query);
  }
  outputs.output.extents[2] = query_count;
  outputs.log_sum_exp = by_query(whole.log_sum_exp);
  outputs.entropy = by_query(whole.entropy);
  outputs.maximum_weight = by_query(whole.maximum_weight);
  outputs.key_mass =
      StatisticOf(whole.key_mass, 3, rows.key_starts[index], rows.key_count(sequence));
  outputs.top_weights.weights = by_query(whole.top_weights.weights);
  if (whole.top_weights.keys != nullptr) {
    outputs.top_weights.keys += whole.output.extents[1] * first_query * whole.top_weights.count;
  }
  return outputs;
}

void ArrangeByHead(const void* by_sequence, std::span<const int64_t> starts, int64_t head_count,
                   int64_t row_bytes, void* by_head) {
  const auto* source = static_cast<const std::byte*>(by_sequence);
  for (size_t s = 0; s + 1 < starts.size(); ++s) {
    const int64_t bytes = (starts[s + 1] - starts[s]) * row_bytes;
    if (bytes == 0) continue;
    auto* target = static_cast<std::byte*>(by_head) + starts[s] * row_bytes;
    for (int64_t head = 0; head < head_count; ++head) {
      std::memcpy(target, source, static_cast<size_t>(bytes));
      source += bytes;
      target += starts.back() * row_bytes;
    }
  }
}

absl::Status ValidateRagged(const kernels::AttentionProblem& whole, const RaggedRows& rows,
                            const kernels::AttentionOptions& options,
                            const kernels::AttentionOutputs& outputs) {
  for (const TensorView* operand : {&whole.query, &whole.key, &whole.value}) {
    if (operand->extents[0] == 1) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("batch: got ", operand->extents[0], ", want 1 with a ragged batch"));
  }
  if (whole.value.extents[2] != whole.key.extents[2]) {
    return absl::InvalidArgumentError(absl::StrCat("value.extents[2]: got ", whole.value.extents[2],
                                                   ", want ", whole.key.extents[2],
                                                   " as key.extents[2]"));
  }
  absl::Status status = CheckStarts("query_starts", rows.query_starts, whole.query.extents[2]);
  status.Update(CheckStarts("key_starts", rows.key_starts, whole.key.extents[2]));
  if (status.ok() && rows.key_starts.size() != rows.query_starts.size()) {
    status = absl::InvalidArgumentError(absl::StrCat("key_starts: got ", rows.key_starts.size(),
                                                     " starts, want ", rows.query_starts.size(),
                                                     " as query_starts"));
  }
  if (!status.ok()) return status;
  status.Update(CheckCount("query_offsets", whole.query_offsets, rows));
  status.Update(CheckLengths("key_lengths", whole.key_lengths, rows));
  status.Update(CheckLengths("prefix_lengths", whole.prefix_lengths, rows));
  status.Update(CheckOffered(whole, options, outputs));
  if (!status.ok()) return status;
  // Sequences differ in what has just been checked, and in the numbers of rows.
  return kernels::Validate(SequenceOf(whole, rows, 0), options, SequenceOf(outputs, rows, 0));
}

}  // namespace attention::server
