#include "kernels/merge_states.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/convert.h"
#include "kernels/elementwise/weighted_rows.h"
#include "kernels/field_checks.h"
#include "kernels/within_memory.h"

namespace attention::kernels {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// Enough of them to pay for a change of hands, few enough to be shared out and to stop soon.
constexpr int64_t kItemRows = 64;

struct Row {
  int64_t batch;
  int64_t head;
  int64_t query;
};

Row RowAt(int64_t index, const Extents& extents) {
  return {index / extents[2] / extents[1], index / extents[2] % extents[1], index % extents[2]};
}

const std::byte* AddressOf(const TensorView& view, const Row& row) {
  return RowAddress(view, row.batch, row.head, row.query);
}
std::byte* AddressOf(const MutableTensorView& view, const Row& row) {
  return RowAddress(view, row.batch, row.head, row.query);
}

void StoreElement(const MutableTensorView& view, const Row& row, double value) {
  StoreElements(view.type, &value, 1, AddressOf(view, row));
}

// Makes `parts` the states that count, with their shares of the whole. Returns the merged
// log_sum_exp.
double ShareOut(std::span<const AttentionState> states, const Row& row,
                std::vector<WeightedRow>& parts) {
  parts.clear();
  double greatest = kMinusInfinity;
  for (const AttentionState& state : states) {
    const double log_sum_exp =
        LoadElement(state.log_sum_exp.type, AddressOf(state.log_sum_exp, row));
    if (log_sum_exp == kMinusInfinity) continue;
    parts.push_back({.numbers = AddressOf(state.output, row), .weight = log_sum_exp});
    const bool stays = std::isnan(greatest) || log_sum_exp <= greatest;
    if (!stays) greatest = log_sum_exp;
  }
  double sum = 0;
  for (WeightedRow& part : parts) {
    part.weight = std::exp(part.weight - greatest);
    sum += part.weight;
  }
  for (WeightedRow& part : parts) part.weight /= sum;
  return parts.empty() ? kMinusInfinity : greatest + std::log(sum);
}

void MergeRow(std::span<const AttentionState> states, const MergedState& merged, const Row& row,
              std::vector<WeightedRow>& parts) {
  const double log_sum_exp = ShareOut(states, row, parts);
  const int64_t width = merged.output.extents[3];
  if (parts.empty()) {
    std::memset(AddressOf(merged.output, row), 0,
                static_cast<size_t>(width) * ElementBytes(merged.output.type));
  } else {
    SumWeightedRows(parts, merged.output.type, width, AddressOf(merged.output, row));
  }
  StoreElement(merged.log_sum_exp, row, log_sum_exp);
}

absl::Status CheckState(absl::string_view name, const AttentionState& state,
                        const AttentionState& first) {
  const absl::string_view whose = "states[0].output";
  const std::string output = absl::StrCat(name, "output");
  const DataType type = first.output.type;
  absl::Status status = CheckOperand(output, state.output, type, whose);
  if (status.ok() && state.output.extents != first.output.extents) {
    status = Invalid(absl::StrCat(output, ".extents"), ShapeText(state.output.extents),
                     absl::StrCat(ShapeText(first.output.extents), " as ", whose));
  }
  if (!status.ok()) return status;
  const std::string log_sum_exp = absl::StrCat(name, "log_sum_exp");
  const DataType want_type = type == DataType::kF64 ? DataType::kF64 : DataType::kF32;
  if (state.log_sum_exp.type != want_type) {
    return Invalid(absl::StrCat(log_sum_exp, ".type"), ToAbsl(Name(state.log_sum_exp.type)),
                   ToAbsl(Name(want_type)));
  }
  const Extents& extents = first.output.extents;
  const Extents want = {extents[0], extents[1], extents[2], 1};
  if (state.log_sum_exp.extents != want) {
    return Invalid(absl::StrCat(log_sum_exp, ".extents"), ShapeText(state.log_sum_exp.extents),
                   absl::StrCat(ShapeText(want), " as ", whose));
  }
  if (ElementCount(want) > 0 && !state.log_sum_exp.present()) {
    return Invalid(absl::StrCat(log_sum_exp, ".data"), "null", "an array");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateAttentionStates(std::span<const AttentionState> states) {
  if (states.empty()) return Invalid("states", "none", "at least one");
  const AttentionState& first = states.front();
  if (!IsFloating(first.output.type)) {
    return Invalid("states[0].output.type", ToAbsl(Name(first.output.type)),
                   "a floating point type");
  }
  for (size_t i = 0; i < states.size(); ++i) {
    absl::Status status = CheckState(absl::StrCat("states[", i, "]."), states[i], first);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<int> MergeAttentionStates(std::span<const AttentionState> states,
                                         const MergedState& merged, const Execution& execution) {
  absl::Status status = ValidateAttentionStates(states);
  if (status.ok()) {
    status = CheckState("", {merged.output, merged.log_sum_exp}, states.front());
  }
  if (!status.ok()) return status;
  const Extents& extents = merged.output.extents;
  const int64_t row_count = extents[0] * extents[1] * extents[2];
  const auto merge_item = [&](int64_t item) {
    thread_local std::vector<WeightedRow> parts;
    parts.reserve(states.size());
    const int64_t end = std::min(row_count, (item + 1) * kItemRows);
    for (int64_t row = item * kItemRows; row < end; ++row) {
      MergeRow(states, merged, RowAt(row, extents), parts);
    }
  };
  return WithinMemory("the states' weights", [&]() -> absl::StatusOr<int> {
    const int threads = RunItems(execution, DivideUp(row_count, kItemRows), merge_item);
    if (StopRequested(execution)) return absl::CancelledError("stopped on request");
    return threads;
  });
}

}  // namespace attention::kernels
