#include "kernels/python/operators.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/merge_states.h"
#include "kernels/python/array.h"
#include "kernels/python/attention_call.h"
#include "kernels/python/bindings.h"
#include "kernels/python/integer_argument.h"
#include "kernels/python/status_error.h"
#include "kernels/python/thread_pool.h"
#include "kernels/rotary_embedding.h"

namespace attention::python {
namespace {

namespace nb = nanobind;

Array BorrowRows(nb::handle object, const std::string& field) {
  Array rows = BorrowArray(object, field, Access::kRead);
  if (rows.rank() < 2 || rows.rank() > 4) {
    RaiseValueError(absl::StrCat(field, ": got ", rows.rank(), " axes, want 2 to 4"));
  }
  return rows;
}

// The caller's array, which may be the rows themselves, or a new one.
Array RotatedArray(const RotaryArguments& arguments, const Array& rows) {
  if (arguments.out.is_none()) return MakeArrayLike(rows, rows.extents);
  Array output = BorrowArray(arguments.out, "out", Access::kWrite);
  if (output.extents != rows.extents) {
    RaiseValueError(absl::StrCat("out: got shape ", ShapeText(output.extents), ", want ",
                                 ShapeText(rows.extents)));
  }
  RequireOwnPlaces(output, "out");
  const bool in_place = output.data == rows.data && output.strides == rows.strides;
  if (!in_place && MayOverlap(ViewOf(output), ViewOf(rows))) {
    RaiseValueError("out: got memory among that of rows, want the same or memory of its own");
  }
  return output;
}

// The first one says what shape the others must have.
Array BorrowOutput(nb::handle object, const std::string& field, const Array* first) {
  Array output = BorrowRows(object, field);
  if (first != nullptr && output.extents != first->extents) {
    RaiseValueError(absl::StrCat(field, ": got shape ", ShapeText(output.extents), ", want ",
                                 ShapeText(first->extents), " as outputs[0]"));
  }
  return output;
}

Array BorrowLogSumExp(nb::handle object, const std::string& field, const Array& output) {
  Array array = BorrowArray(object, field, Access::kRead);
  const Shape want(output.extents.begin(), output.extents.end() - 1);
  if (array.extents != want) {
    RaiseValueError(absl::StrCat(field, ": got shape ", ShapeText(array.extents), ", want ",
                                 ShapeText(want), " as its output without the last axis"));
  }
  return array;
}

constexpr const char* kRotaryDocumentation = R"(
Turns pairs (x, y) of numbers of each row by its position, as models do to queries and keys:

    angle = position * position_scale * base^(-2 k / width)
    x' = x cos - y sin,   y' = x sin + y cos

for the pairs (k, k + width / 2) or, interleaved, (2 k, 2 k + 1) of the first `width` numbers; the
rest stays. The row i of each sequence has the position first_position + i.

Arguments
    rows            [batch, heads, sequence, row width], or fewer leading axes; float32, float16,
                    bfloat16 or float64.
    width           even; default: the row width.
    threads         as in scaled_dot_product_attention.
    out             where the result goes: the rows themselves, or memory of its own; default: a new
                    array.

Angles keep their digits at positions up to 2^32. float64 is computed in float64, all else in
float32 and rounded once. Raises as scaled_dot_product_attention does.
)";

constexpr const char* kMergeDocumentation = R"(
Joins what attention over parts of the keys gave into what it would have given over all of them.

    m = max(log_sum_exps),   e = exp(log_sum_exps - m)
    output = sum(e * outputs) / sum(e),   log_sum_exp = m + log(sum(e))

Arguments
    outputs         a list of arrays [batch, heads, queries, width], or fewer leading axes.
    log_sum_exps    as many arrays [batch, heads, queries], float64 where the outputs are, otherwise
                    float32, as return_log_sum_exp of scaled_dot_product_attention gives them. Where
                    one is -infinity, its output counts nothing, whatever it holds.
    threads         as in scaled_dot_product_attention.

Returns the tuple (output, log_sum_exp). Computed in float64 and rounded once. Raises as
scaled_dot_product_attention does.
)";

}  // namespace

nb::object ApplyRotaryEmbedding(const RotaryArguments& arguments) {
  const Array rows = BorrowRows(arguments.rows, "rows");
  const Array output = RotatedArray(arguments, rows);
  kernels::RotaryEmbedding rotary = arguments.rotary;
  rotary.width = arguments.width.value_or(rows.extents.back());
  PooledExecutor executor(ThreadsToUse(arguments.threads));
  absl::StatusOr<int> threads;
  {
    const nb::gil_scoped_release unlocked;
    threads =
        kernels::ApplyRotaryEmbedding(rotary, {.first = arguments.first_position}, ViewOf(rows),
                                      ViewOf(output), {.executor = &executor, .stop = nullptr});
  }
  RaiseUnlessOk(threads.status(), rows.rank());
  return output.object;
}

nb::object MergeAttentionStates(const std::vector<nb::object>& outputs,
                                const std::vector<nb::object>& log_sum_exps,
                                std::optional<int64_t> threads) {
  if (outputs.empty()) RaiseValueError("outputs: got none, want at least one");
  if (log_sum_exps.size() != outputs.size()) {
    RaiseValueError(absl::StrCat("log_sum_exps: got ", log_sum_exps.size(), ", want ",
                                 outputs.size(), " as outputs"));
  }
  std::vector<Array> borrowed;  // keeps the arrays alive
  std::vector<kernels::AttentionState> states;
  borrowed.reserve(2 * outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Array* first = borrowed.empty() ? nullptr : borrowed.data();
    const Array& output =
        borrowed.emplace_back(BorrowOutput(outputs[i], absl::StrCat("outputs[", i, "]"), first));
    const Array& log_sum_exp = borrowed.emplace_back(
        BorrowLogSumExp(log_sum_exps[i], absl::StrCat("log_sum_exps[", i, "]"), output));
    states.push_back({.output = ViewOf(output), .log_sum_exp = ColumnViewOf(log_sum_exp)});
  }
  RaiseUnlessOk(kernels::ValidateAttentionStates(states), borrowed[0].rank());
  const Array output = MakeArrayLike(borrowed[0], borrowed[0].extents);
  const Array log_sum_exp = MakeArrayLike(borrowed[1], borrowed[1].extents);
  PooledExecutor executor(ThreadsToUse(threads));
  absl::StatusOr<int> used;
  {
    const nb::gil_scoped_release unlocked;
    used = kernels::MergeAttentionStates(
        states, {.output = ViewOf(output), .log_sum_exp = ColumnViewOf(log_sum_exp)},
        {.executor = &executor, .stop = nullptr});
  }
  RaiseUnlessOk(used.status());
  return nb::make_tuple(output.object, log_sum_exp.object);
}

void DefineOperators(nb::module_& module) {
  using namespace nb::literals;  // NOLINT(google-build-using-namespace): "name"_a
  module.def(
      "rotary_embedding",
      [](nb::object rows, IntegerArgument first_position, std::optional<IntegerArgument> width,
         double base, double position_scale, bool interleaved,
         std::optional<IntegerArgument> threads, nb::object out) {
        return ApplyRotaryEmbedding(
            {.rows = std::move(rows),
             .first_position = first_position.In64Bits("first_position"),
             .width = In64Bits(width, "width"),
             .rotary = {.base = base, .position_scale = position_scale, .interleaved = interleaved},
             .threads = In64Bits(threads, "threads"),
             .out = std::move(out)});
      },
      "rows"_a, nb::kw_only(), "first_position"_a = 0, "width"_a = nb::none(), "base"_a = 10000.0,
      "position_scale"_a = 1.0, "interleaved"_a = false, "threads"_a = nb::none(),
      "out"_a = nb::none(), kRotaryDocumentation);
  module.def(
      "merge_attention_states",
      [](const std::vector<nb::object>& outputs, const std::vector<nb::object>& log_sum_exps,
         std::optional<IntegerArgument> threads) {
        return MergeAttentionStates(outputs, log_sum_exps, In64Bits(threads, "threads"));
      },
      "outputs"_a, "log_sum_exps"_a, nb::kw_only(), "threads"_a = nb::none(), kMergeDocumentation);
}

}  // namespace attention::python
