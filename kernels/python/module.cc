// The extension module: names, arguments and their documentation, but for the layer's, which are in
// multi_head_binding.cc, and those of operators.cc.

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/implementation.h"
#include "kernels/python/attention_call.h"
#include "kernels/python/bindings.h"
#include "kernels/python/integer_argument.h"
#include "kernels/python/number_sequence.h"
#include "kernels/python/status_error.h"

namespace attention::python {
namespace {

namespace nb = nanobind;
using namespace nb::literals;  // NOLINT(google-build-using-namespace): "name"_a

constexpr const char* kAttentionDocumentation = R"(
Scaled dot-product attention.

    scores  = scale * query @ key^T
    scores  = softcap * tanh(scores / softcap), with a softcap
    scores  = scores + attn_mask, where it is of numbers
    scores  = -infinity where a boolean attn_mask is False, where causality or the window hides the
              key, and at and after key_lengths[batch]
    weights = softmax(scores), over keys; zero for a query that sees no key
    output  = weights @ value

Shapes
    query          [batch, query heads, queries, width]
    key            [batch, key-value heads, keys, width]
    value          [batch, key-value heads, keys, value width]
    attn_mask      whatever broadcasts to [batch, query heads, queries, keys]
    output         [batch, query heads, queries, value width]
    weights        [batch, query heads, queries, keys]
    log_sum_exp    [batch, query heads, queries]
The batch may be left out, and the heads as well, of all three operands alike. Where there are more
query heads than key-value heads, by a whole factor, each key-value head serves a group of
neighbouring query heads. Strides may be any, but that the last axis of query, key, value and out is
dense.

Arguments
    query, key, value  NumPy arrays, PyTorch tensors on the CPU (without gradient), or other objects
        with __dlpack__; read in place. float32, float16, bfloat16 or float64, all three alike.
        NumPy has bfloat16 by the package ml_dtypes.
    attn_mask      boolean (True: attend) or of any floating point type (added to the scores).
    dropout_p      0: dropout is for training. There for calls that are written for PyTorch.
    is_causal      query i sees key j only if j <= i: aligned at the top left, as in PyTorch. May be
                   combined with attn_mask, which PyTorch refuses.
    causal_offset  query i sees key j only if j <= i + causal_offset; keys - queries aligns at the
                   bottom right, as a decoder with a cache needs it.
    key_lengths    one for each batch entry: later keys are padding.
    window_left, window_right
                   query i sees key j only if p - window_left <= j <= p + window_right, where p is
                   i, or i + causal_offset where that is given. At least 0; default: no bound.
    scale          default: 1 / sqrt(width).
    softcap        caps the scores smoothly; greater than 0.
    sinks          a number for each query head: one more score in the softmax's denominator, for
                   which there is no value, so that weights sum to less than 1.
    enable_gqa     False refuses groups of query heads, as PyTorch does; default: they are allowed.
    precision      how products of float32 operands are computed: "f32", the default; "bf16_x6",
                   with the same error bound, faster where the processor has BF16 tiles; "bf16_x3",
                   relative error about 1e-5; "bf16"; "f32_grade_fastest", "f32" or "bf16_x6" by
                   measurement. Other types have a precision of their own and refuse this argument.
    threads        how many may compute; default: one for each processor that the calling thread
                   may use. The result is the same, bit for bit, for any number.
    out            where the output goes, in memory of its own; default: a new array.
    return_weights, return_log_sum_exp, return_report
                   what else to return.

Returns the output, a tensor if query is one, else an array; or, where more is asked for, a tuple
(output, weights, log_sum_exp, Report) without what was not. log_sum_exp is the logarithm of the sum
of exp(scores) over the keys (and exp(sink)), -infinity where there is none; float64 where query is,
else float32. It is what merge_attention_states takes; sinks belong to one of the parts.

What a mask hides reaches no output, be it NaN or infinite. A query that sees nothing gets zeros,
where PyTorch may give NaN.

Raises TypeError for what is no array of these types, ValueError for shapes and values that
contradict the above, NotImplementedError for what is valid but not offered here, and RuntimeError
if the computation failed.

Threads: may be called from several at once; the interpreter's lock is free during the computation,
in which nobody may change the operands. Those that help a call run where its thread may run.
)";

constexpr const char* kUseDocumentation = R"(
Forces an implementation for the rest of the process, among fused-amx, fused-avx512-bf16,
fused-avx512, fused-avx2 and unfused-float64. At most once, before anything was computed, and before
usable_implementations, implementation or instruction_set was called: the answer settles what can
run. Raises ValueError for an unknown name, and RuntimeError where it is too late or the processor
lacks what it needs, after which it is too late for those that cap instruction sets as well; what
can run stays the same.
)";

std::vector<std::string> UsableNames() {
  std::vector<std::string> names;
  for (const kernels::Implementation* implementation : kernels::UsableImplementations()) {
    names.emplace_back(implementation->name());
  }
  return names;
}

std::string ReportText(const Report& report) {
  return absl::StrCat("Report(implementation='", std::string(report.implementation),
                      "', precision='", std::string(report.precision),
                      "', threads=", report.thread_count, ")");
}

void DefineReport(nb::module_& module) {
  nb::class_<Report>(module, "Report", "What ran.")
      .def_prop_ro("implementation",
                   [](const Report& report) { return std::string(report.implementation); })
      .def_prop_ro(
          "precision", [](const Report& report) { return std::string(report.precision); },
          "Of the matrix products: f32, bf16_x6, bf16_x3, bf16 or f64.")
      .def_prop_ro(
          "threads", [](const Report& report) { return report.thread_count; },
          "How many took part.")
      .def("__repr__", &ReportText);
}

void DefineImplementations(nb::module_& module) {
  module.def("usable_implementations", &UsableNames,
             "The names of those that this process can use, in order of preference.");
  module.def(
      "implementation", [] { return UsableNames().front(); },
      "The name of the one that computes whatever it offers.");
  module.def(
      "instruction_set", [] { return std::string(kernels::InstructionSet()); },
      "What kernels dispatch to: avx512_amx, avx512_bf16, avx512, avx2 or baseline.");
  module.def(
      "use_implementation",
      [](const std::string& name) { RaiseUnlessOk(kernels::UseImplementation(name)); }, "name"_a,
      kUseDocumentation);
}

void DefineFunction(nb::module_& module) {
  module.def(
      "scaled_dot_product_attention",
      [](nb::object query, nb::object key, nb::object value, nb::object attn_mask, double dropout_p,
         bool is_causal, std::optional<IntegerArgument> causal_offset, nb::object key_lengths,
         std::optional<IntegerArgument> window_left, std::optional<IntegerArgument> window_right,
         std::optional<double> scale, std::optional<double> softcap, nb::object sinks,
         std::optional<bool> enable_gqa, std::optional<std::string> precision,
         std::optional<IntegerArgument> threads, nb::object out, bool return_weights,
         bool return_log_sum_exp, bool return_report) {
        return ScaledDotProductAttention(
            {.query = std::move(query),
             .key = std::move(key),
             .value = std::move(value),
             .hidden = {std::move(attn_mask), is_causal, In64Bits(causal_offset, "causal_offset"),
                        Integers(key_lengths, "key_lengths"), In64Bits(window_left, "window_left"),
                        In64Bits(window_right, "window_right")},
             .out = std::move(out),
             .dropout_p = dropout_p,
             .enable_gqa = enable_gqa,
             .scale = scale,
             .softcap = softcap,
             .sinks = Numbers(sinks, "sinks"),
             .precision = std::move(precision),
             .threads = In64Bits(threads, "threads"),
             .return_weights = return_weights,
             .return_log_sum_exp = return_log_sum_exp,
             .return_report = return_report});
      },
      "query"_a, "key"_a, "value"_a, "attn_mask"_a = nb::none(), "dropout_p"_a = 0.0,
      "is_causal"_a = false, nb::kw_only(), "causal_offset"_a = nb::none(),
      "key_lengths"_a = nb::none(), "window_left"_a = nb::none(), "window_right"_a = nb::none(),
      "scale"_a = nb::none(), "softcap"_a = nb::none(), "sinks"_a = nb::none(),
      "enable_gqa"_a = nb::none(), "precision"_a = nb::none(), "threads"_a = nb::none(),
      "out"_a = nb::none(), "return_weights"_a = false, "return_log_sum_exp"_a = false,
      "return_report"_a = false, kAttentionDocumentation);
}

}  // namespace

void DefineAttention(nb::module_& module) {
  DefineReport(module);
  DefineFunction(module);
}

NB_MODULE(_native, module) {
  module.attr("__version__") = ATTENTION_VERSION;
  DefineAttention(module);
  DefineMultiHeadAttention(module);
  DefineOperators(module);
  DefineImplementations(module);
}

}  // namespace attention::python
