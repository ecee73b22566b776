#include "kernels/python/attention_call.h"

#include <array>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/python/array.h"
#include "kernels/python/status_error.h"
#include "kernels/python/thread_pool.h"

namespace attention::python {
namespace {

namespace nb = nanobind;
using kernels::DataType;
using kernels::MutableTensorView;
using kernels::Precision;
using kernels::TensorView;

constexpr int kMaxThreads = 1024;

// Multiplications in the first product. Fewer are done, by whatever implementation, before a second
// thread has begun.
constexpr double kLeastSharedProducts = 3e4;

constexpr std::array<std::pair<std::string_view, Precision>, 5> kPrecisions = {{
    {"f32", Precision::kF32},
    {"bf16_x6", Precision::kBF16X6},
    {"bf16_x3", Precision::kBF16X3},
    {"bf16", Precision::kBF16},
    {"f32_grade_fastest", Precision::kF32GradeFastest},
}};

struct Operands {
  Array query;
  Array key;
  Array value;
  std::optional<Array> mask;
};

// One rank for all three, so that no axis is taken for another.
Array BorrowOperand(nb::handle object, const char* field, std::optional<size_t> rank) {
  Array operand = BorrowArray(object, field, Access::kRead);
  if (operand.rank() < 2 || operand.rank() > 4) {
    RaiseValueError(absl::StrCat(field, ": got ", operand.rank(), " axes, want 2 to 4"));
  }
  if (rank.has_value() && operand.rank() != *rank) {
    RaiseValueError(
        absl::StrCat(field, ": got ", operand.rank(), " axes, want ", *rank, " as query"));
  }
  return operand;
}

Operands BorrowOperands(const AttentionArguments& arguments) {
  Operands operands;
  operands.query = BorrowOperand(arguments.query, "query", std::nullopt);
  operands.key = BorrowOperand(arguments.key, "key", operands.query.rank());
  operands.value = BorrowOperand(arguments.value, "value", operands.query.rank());
  operands.mask = BorrowMask(arguments.hidden);
  return operands;
}

kernels::AttentionProblem MakeProblem(const AttentionArguments& arguments,
                                      const Operands& operands) {
  kernels::AttentionProblem problem;
  problem.query = ViewOf(operands.query);
  problem.key = ViewOf(operands.key);
  problem.value = ViewOf(operands.value);
  HideKeys(arguments.hidden, operands.mask, problem);
  if (arguments.sinks.has_value()) {
    if (static_cast<int64_t>(arguments.sinks->size()) != problem.query.extents[1]) {
      RaiseValueError(absl::StrCat("sinks: got ", arguments.sinks->size(), " numbers, want ",
                                   problem.query.extents[1], ", one for each query head"));
    }
    problem.sinks = *arguments.sinks;
  }
  return problem;
}

// What PyTorch has and is refused or means nothing here.
void CheckPyTorchArguments(const AttentionArguments& arguments,
                           const kernels::AttentionProblem& problem) {
  if (arguments.dropout_p != 0.0) {
    RaiseValueError(
        absl::StrCat("dropout_p: got ", arguments.dropout_p, ", want 0: dropout is for training"));
  }
  const int64_t query_heads = problem.query.extents[1];
  const int64_t key_heads = problem.key.extents[1];
  const bool grouped = key_heads != query_heads && key_heads != 1;  // one is broadcast
  if (grouped && !arguments.enable_gqa.value_or(true)) {
    RaiseValueError(absl::StrCat("enable_gqa: got False with ", query_heads, " heads of query and ",
                                 key_heads, " of key, want True, or as many of both"));
  }
}

// Of a problem that nobody has validated.
bool IsWorthSharing(const kernels::AttentionProblem& problem) {
  double products = static_cast<double>(problem.key.extents[2]);
  for (const int64_t extent : problem.query.extents) products *= static_cast<double>(extent);
  return products >= kLeastSharedProducts;
}

Shape ShapeOfResult(const Array& query, int64_t width) {
  Shape shape = query.extents;
  shape.back() = width;
  return shape;
}

// The statistics' type.
DataType LogSumExpType(DataType operands) {
  return operands == DataType::kF64 ? DataType::kF64 : DataType::kF32;
}

// The caller's array, or a new one.
Array OutputArray(const AttentionArguments& arguments, const Operands& operands) {
  const Shape shape = ShapeOfResult(operands.query, operands.value.extents.back());
  if (arguments.out.is_none()) return MakeArrayLike(operands.query, shape);
  Array output = BorrowArray(arguments.out, "out", Access::kWrite);
  if (output.extents != shape) {
    RaiseValueError(
        absl::StrCat("out: got shape ", ShapeText(output.extents), ", want ", ShapeText(shape)));
  }
  RequireOwnPlaces(output, "out");
  const TensorView view = ViewOf(output);
  for (const Array* operand : {&operands.query, &operands.key, &operands.value}) {
    if (MayOverlap(view, ViewOf(*operand))) {
      RaiseValueError("out: got memory among that of an operand, want memory of its own");
    }
  }
  if (operands.mask.has_value() && MayOverlap(view, ViewOf(*operands.mask))) {
    RaiseValueError("out: got memory among that of attn_mask, want memory of its own");
  }
  return output;
}

MutableTensorView DenseView(const Array& array, const kernels::Extents& extents) {
  return kernels::DenseView(array.data, array.type, extents);
}

}  // namespace

Precision ParsePrecision(const std::optional<std::string>& name, const Array& operand,
                         const char* field) {
  if (!name.has_value()) return Precision::kF32;
  std::string known;
  std::optional<Precision> found;
  for (const auto& [known_name, precision] : kPrecisions) {
    if (known_name == *name) found = precision;
    absl::StrAppend(&known, known.empty() ? "" : ", ", std::string(known_name));
  }
  if (!found.has_value()) {
    RaiseValueError(absl::StrCat("precision: got ", *name, ", want one of ", known));
  }
  if (operand.type != DataType::kF32) {
    RaiseValueError(absl::StrCat("precision: got ", *name, ", want none where ", field,
                                 ".dtype is ", DtypeName(operand.type)));
  }
  return *found;
}

int ThreadsToUse(std::optional<int64_t> threads) {
  if (!threads.has_value()) return AvailableProcessorCount();
  if (*threads < 1 || *threads > kMaxThreads) {
    RaiseValueError(absl::StrCat("threads: got ", *threads, ", want 1 to ", kMaxThreads));
  }
  return static_cast<int>(*threads);
}

nb::object ScaledDotProductAttention(const AttentionArguments& arguments) {
  const Operands operands = BorrowOperands(arguments);
  const kernels::AttentionProblem problem = MakeProblem(arguments, operands);
  CheckPyTorchArguments(arguments, problem);
  const kernels::AttentionOptions options{
      .scale = arguments.scale,
      .softcap = arguments.softcap,
      .precision = ParsePrecision(arguments.precision, operands.query, "query")};
  // To ask the system how many there are would be noticed where nothing is shared.
  const bool shared = IsWorthSharing(problem);
  PooledExecutor executor(ThreadsToUse(shared ? arguments.threads : arguments.threads.value_or(1)));
  const Array output = OutputArray(arguments, operands);
  kernels::AttentionOutputs outputs;
  outputs.output = ViewOf(output);
  std::optional<Array> weights;
  std::optional<Array> log_sum_exp;
  if (arguments.return_weights) {
    weights = MakeArrayLike(operands.query, ShapeOfResult(operands.query, problem.key.extents[2]));
    outputs.weights = DenseView(*weights, ViewOf(*weights).extents);
  }
  if (arguments.return_log_sum_exp) {
    const Shape& query = operands.query.extents;
    log_sum_exp = MakeArrayLike(operands.query, Shape(query.begin(), query.end() - 1),
                                LogSumExpType(operands.query.type));
    outputs.log_sum_exp = DenseView(*log_sum_exp, ColumnViewOf(*log_sum_exp).extents);
  }
  kernels::Execution execution;
  if (shared) execution.executor = &executor;
  absl::StatusOr<Report> report;
  {
    const nb::gil_scoped_release unlocked;
    report = Attend(problem, options, outputs, execution);
  }
  RaiseUnlessOk(report.status(), operands.query.rank());
  if (!weights.has_value() && !log_sum_exp.has_value() && !arguments.return_report) {
    return output.object;
  }
  nb::list results;
  results.append(output.object);
  if (weights.has_value()) results.append(weights->object);
  if (log_sum_exp.has_value()) results.append(log_sum_exp->object);
  if (arguments.return_report) results.append(nb::cast(*report));
  return nb::tuple(results);
}

}  // namespace attention::python
