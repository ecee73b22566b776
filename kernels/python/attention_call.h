// scaled_dot_product_attention: from Python's arguments to one call of kernels::Attend.

#ifndef ATTENTION_KERNELS_PYTHON_ATTENTION_CALL_H_
#define ATTENTION_KERNELS_PYTHON_ATTENTION_CALL_H_

#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/attend.h"
#include "kernels/python/array.h"
#include "kernels/python/hidden_keys.h"

namespace attention::python {

// What ran. The texts of kernels::AttentionReport never end.
using Report = kernels::AttentionReport;

// As they come from Python. module.cc documents them.
struct AttentionArguments {
  nanobind::object query;
  nanobind::object key;
  nanobind::object value;
  HiddenKeys hidden;
  nanobind::object out;  // or None
  double dropout_p = 0.0;
  std::optional<bool> enable_gqa;
  std::optional<double> scale;
  std::optional<double> softcap;
  std::optional<std::vector<double>> sinks;
  std::optional<std::string> precision;
  std::optional<int64_t> threads;
  bool return_weights = false;
  bool return_log_sum_exp = false;
  bool return_report = false;
};

// "f32", "bf16_x6", "bf16_x3", "bf16" or "f32_grade_fastest"; "f32" if there is none. Raises
// ValueError naming them, and for any precision where `operand`, which `field` names, is not
// float32: such products have a precision of their own.
[[nodiscard]] kernels::Precision ParsePrecision(const std::optional<std::string>& name,
                                                const Array& operand, const char* field);

// The number of threads to use; raises ValueError unless it is positive.
[[nodiscard]] int ThreadsToUse(std::optional<int64_t> threads);

// The output, or a tuple of it and of what else was asked for. Computes without holding the
// interpreter's lock.
[[nodiscard]] nanobind::object ScaledDotProductAttention(const AttentionArguments& arguments);

}  // namespace attention::python

#endif  // ATTENTION_KERNELS_PYTHON_ATTENTION_CALL_H_
