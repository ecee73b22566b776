// rotary_embedding and merge_attention_states: from Python's arguments to one call of the kernels.

#ifndef ATTENTION_KERNELS_PYTHON_OPERATORS_H_
#define ATTENTION_KERNELS_PYTHON_OPERATORS_H_

#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/attention_problem.h"

namespace attention::python {

// As they come from Python.
struct RotaryArguments {
  nanobind::object rows;
  int64_t first_position = 0;
  std::optional<int64_t> width;
  kernels::RotaryEmbedding rotary;  // but for its width
  std::optional<int64_t> threads;
  nanobind::object out;  // or None
};

// The turned rows. Computes without holding the interpreter's lock.
[[nodiscard]] nanobind::object ApplyRotaryEmbedding(const RotaryArguments& arguments);

// The merged output and log-sum-exp, as a tuple. Computes without holding the interpreter's lock.
[[nodiscard]] nanobind::object MergeAttentionStates(
    const std::vector<nanobind::object>& outputs, const std::vector<nanobind::object>& log_sum_exps,
    std::optional<int64_t> threads);

}  // namespace attention::python

#endif  // ATTENTION_KERNELS_PYTHON_OPERATORS_H_
