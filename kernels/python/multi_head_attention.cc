#include "kernels/python/multi_head_attention.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/aligned_array.h"
#include "kernels/python/status_error.h"
#include "kernels/python/thread_pool.h"

namespace attention::python {
namespace {

namespace nb = nanobind;
using kernels::DataType;
using kernels::MutableTensorView;
using kernels::PackedProjection;
using kernels::ProjectionMap;
using kernels::TensorView;

constexpr size_t kMostKeptBytes = size_t{64} << 20;

Array BorrowWeight(nb::handle object, const char* field, const Shape& shape) {
  Array weight = BorrowArray(object, field, Access::kRead);
  if (weight.extents != shape) {
    RaiseValueError(absl::StrCat(field, ": got shape ", ShapeText(weight.extents), ", want ",
                                 ShapeText(shape)));
  }
  return weight;
}

void CheckType(const Array& array, const char* field, DataType type, const char* whose) {
  if (array.type == type) return;
  RaiseValueError(absl::StrCat(field, ".dtype: got ", DtypeName(array.type), ", want ",
                               DtypeName(type), " as ", whose));
}

// A dense copy of rows [first_row, first_row + row_count) of a matrix with its axes exchanged, or
// of a vector's part as it is: what a ProjectionMap refers to.
std::vector<std::byte> Transposed(const Array& array, int64_t first_row, int64_t row_count) {
  const size_t bytes = kernels::ElementBytes(array.type);
  const int64_t column_count = array.rank() == 1 ? 1 : array.extents[1];
  const int64_t column_stride = array.rank() == 1 ? 0 : array.strides[1];
  std::vector<std::byte> copy(bytes * static_cast<size_t>(row_count * column_count));
  const auto* elements = static_cast<const std::byte*>(array.data);
  std::byte* to = copy.data();
  for (int64_t column = 0; column < column_count; ++column) {
    for (int64_t row = first_row; row < first_row + row_count; ++row, to += bytes) {
      const int64_t at = row * array.strides[0] + column * column_stride;
      std::memcpy(to, elements + at * static_cast<int64_t>(bytes), bytes);
    }
  }
  return copy;
}

// Packs `map_count` maps whose weights lie below each other.
std::unique_ptr<const PackedProjection> Pack(const Array& weight, const std::optional<Array>& bias,
                                             int64_t map_count, kernels::Precision precision) {
  const int64_t width = weight.extents[1];
  std::vector<std::vector<std::byte>> copies;
  std::vector<ProjectionMap> maps;
  for (int64_t map = 0; map < map_count; ++map) {
    copies.push_back(Transposed(weight, map * width, width));
    maps.push_back({width, copies.back().data(), nullptr});
    if (bias.has_value()) {
      copies.push_back(Transposed(*bias, map * width, width));
      maps.back().bias = copies.back().data();
    }
  }
  PooledExecutor executor(ThreadsToUse(std::nullopt));
  absl::StatusOr<std::unique_ptr<const PackedProjection>> packed;
  {
    const nb::gil_scoped_release unlocked;
    packed = PackedProjection::Pack({weight.type, precision, width, maps}, {.executor = &executor});
  }
  RaiseUnlessOk(packed.status());
  return *std::move(packed);
}

// Intermediate results of the calling thread.
class Scratch {
 public:
  explicit Scratch(size_t bytes) { kept.Reserve(bytes); }
  ~Scratch() { kept.ReleaseAbove(kMostKeptBytes); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] std::byte* data() const { return kept.data(); }

 private:
  static thread_local kernels::AlignedArray<std::byte> kept;
};

thread_local kernels::AlignedArray<std::byte> Scratch::kept;

// [1, batch, tokens, width], with strides that mean something where an extent is 0 or 1.
MutableTensorView RowsOf(const Array& array, const char* field) {
  MutableTensorView rows = ViewOf(array);
  auto& [unused_extent, batch, tokens, width] = rows.extents;
  auto& [unused_stride, batch_stride, row_stride, stride] = rows.strides;
  if (kernels::ElementCount(rows.extents) == 0) {
    rows.strides = kernels::DenseStrides(rows.extents);
    return rows;
  }
  if (tokens == 1) row_stride = batch > 1 ? std::max(batch_stride, width) : width;
  if (batch == 1) batch_stride = tokens * row_stride;
  if ((width > 1 && stride != 1) || row_stride < width) {
    RaiseValueError(absl::StrCat(field, ": got strides of ", row_stride, " and ", stride,
                                 " elements, want at least ", width,
                                 " from token to token and 1 within"));
  }
  return rows;
}

// Whether the rows of all batch entries have one distance, so that they are one run of rows.
bool AreOneRun(const TensorView& rows) {
  return rows.extents[1] <= 1 || rows.strides[1] == rows.extents[2] * rows.strides[2];
}

// Applies the projection to the rows of `input`, [1, batch, tokens, width]; output m begins at
// outputs[m] and has the rows of batch entries at the given distance in elements.
struct ProjectionTask {
  const PackedProjection& projection;
  TensorView input;
  std::vector<kernels::ProjectedRows> outputs;
  int64_t output_batch_stride;
};

absl::StatusOr<kernels::ProjectionReport> Apply(const ProjectionTask& task,
                                                const kernels::Execution& execution) {
  const TensorView& input = task.input;
  const bool one_run =
      AreOneRun(input) && task.output_batch_stride == input.extents[2] * task.outputs[0].row_stride;
  const int64_t run_count = one_run ? 1 : input.extents[1];
  const auto bytes = static_cast<int64_t>(kernels::ElementBytes(input.type));
  kernels::ProjectionReport most;
  for (int64_t run = 0; run < run_count; ++run) {
    std::vector<kernels::ProjectedRows> outputs = task.outputs;
    for (kernels::ProjectedRows& output : outputs) {
      output.data = static_cast<std::byte*>(output.data) + run * task.output_batch_stride * bytes;
    }
    const absl::StatusOr<kernels::ProjectionReport> report = task.projection.Apply(
        {.row_count = one_run ? input.extents[1] * input.extents[2] : input.extents[2],
         .input = RowAddress(input, 0, run, 0),
         .input_stride = input.strides[2],
         .outputs = outputs},
        execution);
    if (!report.ok()) return report.status();
    most.precision = report->precision;
    most.thread_count = std::max(most.thread_count, report->thread_count);
  }
  return most;
}

}  // namespace

MultiHeadAttention::MultiHeadAttention(const LayerWeights& weights, int64_t head_count,
                                       const std::optional<std::string>& precision)
    : head_count_(head_count) {
  const Array in_weight = BorrowArray(weights.in_proj_weight, "in_proj_weight", Access::kRead);
  if (in_weight.rank() != 2 || in_weight.extents[0] != 3 * in_weight.extents[1] ||
      in_weight.extents[1] < 1) {
    RaiseValueError(absl::StrCat("in_proj_weight: got shape ", ShapeText(in_weight.extents),
                                 ", want [3 width, width]"));
  }
  width_ = in_weight.extents[1];
  type_ = in_weight.type;
  precision_ = ParsePrecision(precision, in_weight, "in_proj_weight");
  if (head_count_ < 1 || width_ % head_count_ != 0) {
    RaiseValueError(
        absl::StrCat("num_heads: got ", head_count_, ", want a divisor of the width ", width_));
  }
  const auto borrow = [&](nb::handle object, const char* field, const Shape& shape) {
    Array weight = BorrowWeight(object, field, shape);
    CheckType(weight, field, type_, "in_proj_weight");
    return weight;
  };
  std::optional<Array> in_bias;
  std::optional<Array> out_bias;
  const Array out_weight = borrow(weights.out_proj_weight, "out_proj_weight", {width_, width_});
  if (!weights.in_proj_bias.is_none()) {
    in_bias = borrow(weights.in_proj_bias, "in_proj_bias", {3 * width_});
  }
  if (!weights.out_proj_bias.is_none()) {
    out_bias = borrow(weights.out_proj_bias, "out_proj_bias", {width_});
  }
  in_projection_ = Pack(in_weight, in_bias, 3, precision_);
  out_projection_ = Pack(out_weight, out_bias, 1, precision_);
}

nb::object MultiHeadAttention::Call(const LayerArguments& arguments) const {
  const Array embeddings = BorrowArray(arguments.embeddings, "embeddings", Access::kRead);
  CheckType(embeddings, "embeddings", type_, "in_proj_weight");
  if (embeddings.rank() < 2 || embeddings.rank() > 3 || embeddings.extents.back() != width_) {
    RaiseValueError(absl::StrCat("embeddings: got shape ", ShapeText(embeddings.extents),
                                 ", want [batch, tokens, ", width_, "] or [tokens, ", width_, "]"));
  }
  const Array output = arguments.out.is_none() ? MakeArrayLike(embeddings, embeddings.extents)
                                               : BorrowArray(arguments.out, "out", Access::kWrite);
  const Rows rows = CheckedRows(embeddings, output);
  const std::optional<Array> mask = BorrowMask(arguments.hidden);
  PooledExecutor executor(ThreadsToUse(arguments.threads));
  const Scratch scratch(static_cast<size_t>(4 * rows.batch * rows.tokens * width_) *
                        kernels::ElementBytes(type_));
  kernels::AttentionProblem problem = Problem(rows, scratch.data());
  HideKeys(arguments.hidden, mask, problem);
  absl::StatusOr<Report> report;
  {
    const nb::gil_scoped_release unlocked;
    report = Compute(rows, problem, scratch.data(), {.executor = &executor});
  }
  RaiseUnlessOk(report.status());
  if (!arguments.return_report) return output.object;
  return nb::make_tuple(output.object, *report);
}

MultiHeadAttention::Rows MultiHeadAttention::CheckedRows(const Array& embeddings,
                                                         const Array& output) const {
  CheckType(output, "out", type_, "embeddings");
  if (output.extents != embeddings.extents) {
    RaiseValueError(absl::StrCat("out: got shape ", ShapeText(output.extents), ", want ",
                                 ShapeText(embeddings.extents)));
  }
  RequireOwnPlaces(output, "out");
  const Rows rows{.batch = embeddings.rank() == 3 ? embeddings.extents[0] : 1,
                  .tokens = embeddings.extents[embeddings.rank() - 2],
                  .input = RowsOf(embeddings, "embeddings"),
                  .output = RowsOf(output, "out")};
  if (MayOverlap(rows.input, rows.output)) {
    RaiseValueError("out: got memory among that of embeddings, want memory of its own");
  }
  return rows;
}

kernels::AttentionProblem MultiHeadAttention::Problem(const Rows& rows,
                                                      std::byte* projected) const {
  const int64_t head_width = width_ / head_count_;
  const auto part = [&](int64_t index) {
    return TensorView{
        projected + index * width_ * static_cast<int64_t>(kernels::ElementBytes(type_)),
        type_,
        {rows.batch, head_count_, rows.tokens, head_width},
        {rows.tokens * 3 * width_, head_width, 3 * width_, 1}};
  };
  kernels::AttentionProblem problem;
  problem.query = part(0);
  problem.key = part(1);
  problem.value = part(2);
  return problem;
}

absl::StatusOr<Report> MultiHeadAttention::Compute(const Rows& rows,
                                                   kernels::AttentionProblem& problem,
                                                   std::byte* projected,
                                                   const kernels::Execution& execution) const {
  const auto bytes = static_cast<int64_t>(kernels::ElementBytes(type_));
  std::byte* attended = projected + 3 * rows.batch * rows.tokens * width_ * bytes;
  std::vector<kernels::ProjectedRows> parts;
  for (int64_t part = 0; part < 3; ++part) {
    parts.push_back({projected + part * width_ * bytes, 3 * width_});
  }
  const auto in_report =
      Apply({*in_projection_, rows.input, parts, rows.tokens * 3 * width_}, execution);
  if (!in_report.ok()) return in_report.status();

  kernels::AttentionOutputs outputs;
  outputs.output = {attended,
                    type_,
                    problem.query.extents,
                    {rows.tokens * width_, width_ / head_count_, width_, 1}};
  kernels::AttentionOptions options;
  options.precision = precision_;
  absl::StatusOr<Report> report = Attend(problem, options, outputs, execution);
  if (!report.ok()) return report;

  const TensorView heads = kernels::DenseView(static_cast<const void*>(attended), type_,
                                              {1, rows.batch, rows.tokens, width_});
  const auto out_report = Apply({*out_projection_,
                                 heads,
                                 {{rows.output.data, rows.output.strides[2]}},
                                 rows.output.strides[1]},
                                execution);
  if (!out_report.ok()) return out_report.status();
  report->precision = out_report->precision;
  report->thread_count =
      std::max({report->thread_count, in_report->thread_count, out_report->thread_count});
  return report;
}

}  // namespace attention::python
