#include "kernels/python/hidden_keys.h"

#include "absl/strings/str_cat.h"
#include "kernels/python/status_error.h"

namespace attention::python {
namespace {

namespace nb = nanobind;
using kernels::TensorView;

// Right-aligned to [batch, query heads, queries, keys]; a missing axis or an extent of 1
// broadcasts.
TensorView BroadcastMask(const Array& mask, const kernels::AttentionProblem& problem) {
  const kernels::Extents want = {problem.query.extents[0], problem.query.extents[1],
                                 problem.query.extents[2], problem.key.extents[2]};
  bool fits = mask.rank() <= want.size();
  TensorView view;
  if (fits) view = ViewOf(mask);
  for (size_t axis = 0; fits && axis < want.size(); ++axis) {
    fits = view.extents[axis] == want[axis] || view.extents[axis] == 1;
    if (view.extents[axis] == 1) view.strides[axis] = 0;
    view.extents[axis] = want[axis];
  }
  if (!fits) {
    RaiseValueError(absl::StrCat("attn_mask: got shape ", ShapeText(mask.extents),
                                 ", want one that broadcasts to ",
                                 ShapeText(Shape(want.begin(), want.end()))));
  }
  return view;
}

std::optional<int64_t> CausalOffset(const HiddenKeys& hidden) {
  if (!hidden.is_causal) return hidden.causal_offset;
  if (hidden.causal_offset.has_value()) {
    RaiseValueError("causal_offset: got an offset and is_causal, want one of them");
  }
  return 0;
}

}  // namespace

std::optional<Array> BorrowMask(const HiddenKeys& hidden) {
  if (hidden.attn_mask.is_none()) return std::nullopt;
  return BorrowArray(hidden.attn_mask, "attn_mask", Access::kRead);
}

void HideKeys(const HiddenKeys& hidden, const std::optional<Array>& mask,
              kernels::AttentionProblem& problem) {
  const std::optional<int64_t> causal_offset = CausalOffset(hidden);
  problem.causal = causal_offset.has_value();
  problem.query_offset = causal_offset.value_or(0);
  problem.left_window = hidden.window_left;
  problem.right_window = hidden.window_right;
  if (hidden.key_lengths.has_value()) {
    if (static_cast<int64_t>(hidden.key_lengths->size()) != problem.query.extents[0]) {
      RaiseValueError(absl::StrCat("key_lengths: got ", hidden.key_lengths->size(),
                                   " lengths, want ", problem.query.extents[0],
                                   ", one for each batch entry"));
    }
    problem.key_lengths = *hidden.key_lengths;
  }
  if (!mask.has_value()) return;
  const bool boolean = mask->type == kernels::DataType::kBool;
  (boolean ? problem.boolean_mask : problem.additive_mask) = BroadcastMask(*mask, problem);
}

}  // namespace attention::python
