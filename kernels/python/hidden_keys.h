// The arguments that say which keys a query does not see.

#ifndef ATTENTION_KERNELS_PYTHON_HIDDEN_KEYS_H_
#define ATTENTION_KERNELS_PYTHON_HIDDEN_KEYS_H_

#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/attend.h"
#include "kernels/python/array.h"

namespace attention::python {

// As they come from Python. module.cc documents them.
struct HiddenKeys {
  nanobind::object attn_mask;  // or None
  bool is_causal = false;
  std::optional<int64_t> causal_offset;
  std::optional<std::vector<int64_t>> key_lengths;
  std::optional<int64_t> window_left;
  std::optional<int64_t> window_right;
};

// attn_mask's memory, if there is one.
[[nodiscard]] std::optional<Array> BorrowMask(const HiddenKeys& hidden);

// Sets the problem's masks, causality, window and lengths; its operands are set already. `hidden`
// and `mask` must outlive the problem. Raises ValueError for what contradicts itself or does not
// broadcast.
void HideKeys(const HiddenKeys& hidden, const std::optional<Array>& mask,
              kernels::AttentionProblem& problem);

}  // namespace attention::python

#endif  // ATTENTION_KERNELS_PYTHON_HIDDEN_KEYS_H_
