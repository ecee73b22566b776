#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/python/bindings.h"
#include "kernels/python/integer_argument.h"
#include "kernels/python/multi_head_attention.h"
#include "kernels/python/number_sequence.h"
#include "kernels/python/status_error.h"

namespace attention::python {
namespace {

namespace nb = nanobind;
using namespace nb::literals;  // NOLINT(google-build-using-namespace): "name"_a

constexpr const char* kClassDocumentation = R"(
A layer of self-attention with its four projections, as torch.nn.MultiheadAttention computes it:

    query, key, value = split(embeddings @ in_proj_weight^T + in_proj_bias)
    attended          = attention of each head on its part of the width, side by side
    output            = attended @ out_proj_weight^T + out_proj_bias

in_proj_weight is [3 width, width] (queries, keys, values below each other), out_proj_weight
[width, width], the biases [3 width] and [width], or None; arrays or tensors of one type. They are
packed once and not referred to afterwards. num_heads divides the width. precision is that of
float32 products, in the projections and in attention, as in scaled_dot_product_attention, and
refused for weights of other types; for the projections "f32_grade_fastest" is chosen at packing.

Errors as in scaled_dot_product_attention. An object may be called from several threads at once.
)";

constexpr const char* kCallDocumentation = R"(
Applies the layer to embeddings, [batch, tokens, width] or [tokens, width], of the weights' type.

Tokens may lie any distance of at least the width apart; the last axis must be dense. attn_mask
broadcasts to [batch, heads, tokens, tokens]. All else is as in scaled_dot_product_attention.
Returns the output, in the shape of the embeddings, or where return_report asks for it a tuple
(output, Report), whose precision is that of the projections.
)";

constexpr const char* kFromTorchDocumentation = R"(
The layer with the weights of a torch.nn.MultiheadAttention. Calls take batch first, whatever the
module's batch_first says. Raises ValueError for a module with key or value widths of their own,
with bias_k or bias_v, or with add_zero_attn, and TypeError for anything else.
)";

nb::object Detached(nb::handle parameter) {
  return parameter.is_none() ? nb::none() : nb::object(parameter.attr("detach")());
}

void RequireLayer(nb::handle module) {
  for (const char* name : {"in_proj_weight", "in_proj_bias", "out_proj", "bias_k", "bias_v",
                           "add_zero_attn", "num_heads"}) {
    if (nb::hasattr(module, name)) continue;
    RaiseTypeError(
        absl::StrCat("module: got ", TypeNameOf(module), ", want a torch.nn.MultiheadAttention"));
  }
}

MultiHeadAttention FromTorch(nb::object module, const std::optional<std::string>& precision) {
  RequireLayer(module);
  const bool plain = !module.attr("in_proj_weight").is_none() && module.attr("bias_k").is_none() &&
                     module.attr("bias_v").is_none() &&
                     !nb::cast<bool>(module.attr("add_zero_attn"));
  if (!plain) {
    RaiseValueError(
        "module: got widths of its own for keys or values, bias_k, bias_v or add_zero_attn, want "
        "none of them");
  }
  const nb::object out_proj = module.attr("out_proj");
  return {{.in_proj_weight = Detached(module.attr("in_proj_weight")),
           .in_proj_bias = Detached(module.attr("in_proj_bias")),
           .out_proj_weight = Detached(out_proj.attr("weight")),
           .out_proj_bias = Detached(out_proj.attr("bias"))},
          nb::cast<int64_t>(module.attr("num_heads")),
          precision};
}

}  // namespace

void DefineMultiHeadAttention(nb::module_& module) {
  nb::class_<MultiHeadAttention>(module, "MultiHeadAttention", kClassDocumentation)
      .def(
          "__init__",
          [](MultiHeadAttention* self, nb::object in_proj_weight, nb::object in_proj_bias,
             nb::object out_proj_weight, nb::object out_proj_bias, IntegerArgument num_heads,
             const std::optional<std::string>& precision) {
            new (self) MultiHeadAttention({std::move(in_proj_weight), std::move(in_proj_bias),
                                           std::move(out_proj_weight), std::move(out_proj_bias)},
                                          num_heads.In64Bits("num_heads"), precision);
          },
          "in_proj_weight"_a, "in_proj_bias"_a.none(), "out_proj_weight"_a,
          "out_proj_bias"_a.none(), "num_heads"_a, nb::kw_only(), "precision"_a = nb::none())
      .def_static("from_torch", &FromTorch, "module"_a.none(), nb::kw_only(),
                  "precision"_a = nb::none(), kFromTorchDocumentation)
      .def(
          "__call__",
          [](const MultiHeadAttention& self, nb::object embeddings, nb::object attn_mask,
             bool is_causal, std::optional<IntegerArgument> causal_offset, nb::object key_lengths,
             std::optional<IntegerArgument> window_left,
             std::optional<IntegerArgument> window_right, std::optional<IntegerArgument> threads,
             nb::object out, bool return_report) {
            return self.Call({.embeddings = std::move(embeddings),
                              .hidden = {std::move(attn_mask), is_causal,
                                         In64Bits(causal_offset, "causal_offset"),
                                         Integers(key_lengths, "key_lengths"),
                                         In64Bits(window_left, "window_left"),
                                         In64Bits(window_right, "window_right")},
                              .out = std::move(out),
                              .threads = In64Bits(threads, "threads"),
                              .return_report = return_report});
          },
          "embeddings"_a, nb::kw_only(), "attn_mask"_a = nb::none(), "is_causal"_a = false,
          "causal_offset"_a = nb::none(), "key_lengths"_a = nb::none(),
          "window_left"_a = nb::none(), "window_right"_a = nb::none(), "threads"_a = nb::none(),
          "out"_a = nb::none(), "return_report"_a = false, kCallDocumentation)
      .def_prop_ro("width", &MultiHeadAttention::width)
      .def_prop_ro("num_heads", &MultiHeadAttention::head_count);
}

}  // namespace attention::python
