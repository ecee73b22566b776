#include "tests/benchmark/verification.h"

#include <cstddef>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "kernels/convert.h"
#include "kernels/reference/reference_attention.h"
#include "tests/benchmark/relative_error.h"
#include "tests/support/naive_attention.h"

namespace attention::benchmark {
namespace {

using kernels::AttentionProblem;
using kernels::DataType;
using kernels::ReferenceResult;
using kernels::TensorView;

constexpr int64_t kRowsPerHead = 8;

// Up to `count` of the numbers [0, end): the first, the last and some between them.
std::set<int64_t> Spread(int64_t end, int64_t count) {
  std::set<int64_t> picked;
  for (int64_t i = 0; i < count; ++i) picked.insert(i * (end - 1) / (count - 1));
  return picked;
}

// Rows of one head, copied into a tensor of its own and perhaps of another type.
class Rows {
 public:
  Rows() = default;
  Rows(const TensorView& view, int64_t batch, int64_t head, const std::vector<int64_t>& rows,
       DataType type)
      : type_(type), extents_{1, 1, static_cast<int64_t>(rows.size()), view.extents[3]} {
    const auto width = static_cast<size_t>(view.extents[3]);
    bytes_.resize(rows.size() * width * kernels::ElementBytes(type));
    std::vector<double> row(width);
    std::byte* next = bytes_.data();
    for (const int64_t index : rows) {
      kernels::LoadElements(view.type, kernels::RowAddress(view, batch, head, index),
                            view.extents[3], row.data());
      kernels::StoreElements(type, row.data(), view.extents[3], next);
      next += width * kernels::ElementBytes(type);
    }
  }

  [[nodiscard]] TensorView View() const {
    return kernels::DenseView(bytes_.data(), type_, extents_);
  }

 private:
  DataType type_ = DataType::kF32;
  kernels::Extents extents_ = {0, 0, 0, 0};
  std::vector<std::byte> bytes_;
};

// Some rows of one head: a problem with operands of its own, in a type of choice. Each row is a
// batch entry of its own, at its own position.
class Sample {
 public:
  Sample(const AttentionProblem& problem, int64_t batch, int64_t head, DataType type)
      : problem_(problem), batch_(batch), head_(head) {
    const std::set<int64_t> rows = Spread(problem.query.extents[2], kRowsPerHead);
    rows_.assign(rows.begin(), rows.end());
    std::vector<int64_t> all_keys(static_cast<size_t>(problem.key.extents[2]));
    std::iota(all_keys.begin(), all_keys.end(), 0);
    const int64_t key_value_head = head * problem.key.extents[1] / problem.query.extents[1];
    query_ = Rows(problem.query, batch, head, rows_, type);
    key_ = Rows(problem.key, batch, key_value_head, all_keys, type);
    value_ = Rows(problem.value, batch, key_value_head, all_keys, type);
    boolean_mask_ = MaskRows(problem.boolean_mask);
    additive_mask_ = MaskRows(problem.additive_mask);
    CopyPerHead();
    CopyPerRow();
  }

  [[nodiscard]] AttentionProblem View() const {
    AttentionProblem problem = problem_;
    problem.query = query_.View();
    problem.query.extents = {row_count(), 1, 1, problem.query.extents[3]};
    problem.query.strides = kernels::DenseStrides(problem.query.extents);
    problem.key = Shared(key_.View());
    problem.value = Shared(value_.View());
    for (auto [mask, rows] : {std::pair{&problem.boolean_mask, &boolean_mask_},
                              std::pair{&problem.additive_mask, &additive_mask_}}) {
      if (!mask->present()) continue;
      *mask =
          kernels::DenseView(rows->data(), mask->type, {row_count(), 1, 1, problem.key.extents[2]});
    }
    problem.query_offsets = rows_;
    problem.key_lengths = key_lengths_;
    problem.query_segments = query_segments_;
    problem.key_segments = key_segments_;
    problem.sinks = sinks_;
    problem.alibi.slopes = slopes_;
    problem.bucketed_bias.table = bias_table_;
    return problem;
  }

  // The rows of the sample in a result of the whole problem, as far as the sample has columns.
  [[nodiscard]] std::vector<double> RowsOf(const TensorView& result, int64_t column_count) const {
    std::vector<double> values(rows_.size() * static_cast<size_t>(column_count));
    double* next = values.data();
    for (const int64_t row : rows_) {
      kernels::LoadElements(result.type, kernels::RowAddress(result, batch_, head_, row),
                            column_count, next);
      next += column_count;
    }
    return values;
  }

 private:
  [[nodiscard]] int64_t row_count() const { return static_cast<int64_t>(rows_.size()); }

  // The same for every row.
  [[nodiscard]] TensorView Shared(TensorView view) const {
    view.extents[0] = row_count();
    view.strides[0] = 0;
    return view;
  }

  // Of a mask that is dense along the keys; empty if there is none.
  [[nodiscard]] std::vector<std::byte> MaskRows(const TensorView& mask) const {
    std::vector<std::byte> bytes;
    if (!mask.present()) return bytes;
    const auto row_bytes = mask.extents[3] * static_cast<int64_t>(kernels::ElementBytes(mask.type));
    for (const int64_t row : rows_) {
      const std::byte* begin = kernels::RowAddress(mask, batch_, head_, row);
      bytes.insert(bytes.end(), begin, begin + row_bytes);
    }
    return bytes;
  }

  void CopyPerHead() {
    const auto head = static_cast<size_t>(head_);
    const auto head_count = static_cast<size_t>(problem_.query.extents[1]);
    if (!problem_.sinks.empty()) sinks_ = {problem_.sinks[head]};
    if (!problem_.alibi.slopes.empty()) slopes_ = {problem_.alibi.slopes[head]};
    const auto table = problem_.bucketed_bias.table;
    for (size_t i = head; i < table.size(); i += head_count) bias_table_.push_back(table[i]);
  }

  void CopyPerRow() {
    for (const int64_t row : rows_) {
      if (!problem_.key_lengths.empty()) {
        key_lengths_.push_back(problem_.key_lengths[static_cast<size_t>(batch_)]);
      }
      if (problem_.query_segments.empty()) continue;
      const int64_t query = batch_ * problem_.query.extents[2] + row;
      query_segments_.push_back(problem_.query_segments[static_cast<size_t>(query)]);
      const int64_t key_count = problem_.key.extents[2];
      const int32_t* keys = problem_.key_segments.data() + batch_ * key_count;
      key_segments_.insert(key_segments_.end(), keys, keys + key_count);
    }
  }

  const AttentionProblem problem_;
  const int64_t batch_;
  const int64_t head_;
  std::vector<int64_t> rows_;
  Rows query_, key_, value_;
  std::vector<std::byte> boolean_mask_, additive_mask_;
  std::vector<int64_t> key_lengths_;
  std::vector<int32_t> query_segments_, key_segments_;
  std::vector<double> sinks_, slopes_, bias_table_;
};

}  // namespace

absl::Status VerifyAttention(const AttentionProblem& problem,
                             const kernels::AttentionOptions& options,
                             const kernels::AttentionOutputs& outputs, std::string_view precision) {
  const DataType type = problem.query.type;
  const DataType naive_type = NaiveType(type, precision);
  const int64_t head_count = problem.query.extents[1];
  RelativeError output;
  RelativeError weights;
  RelativeError log_sum_exp;
  for (const int64_t index : Spread(problem.query.extents[0] * head_count, 3)) {
    const int64_t batch = index / head_count;
    const int64_t head = index % head_count;
    const Sample sample(problem, batch, head, type);
    const Sample rounded(problem, batch, head, naive_type);
    const ReferenceResult want = kernels::ReferenceAttention(sample.View(), options);
    const ReferenceResult naive = test::NaiveAttention(rounded.View(), options);
    const int64_t width = problem.value.extents[3];
    output.Add(want.output, sample.RowsOf(outputs.output, width), naive.output);
    if (outputs.weights.present()) {
      const int64_t key_count = problem.key.extents[2];
      weights.Add(want.weights, sample.RowsOf(outputs.weights, key_count), naive.weights);
    }
    if (outputs.log_sum_exp.present()) {
      log_sum_exp.Add(want.log_sum_exp, sample.RowsOf(outputs.log_sum_exp, 1), naive.log_sum_exp);
    }
  }
  absl::Status status = output.Judge("output", type, precision);
  if (status.ok() && outputs.weights.present()) {
    status = weights.Judge("weights", type, precision);
  }
  if (status.ok() && outputs.log_sum_exp.present()) {
    status = log_sum_exp.Judge("log_sum_exp", type, precision);
  }
  return status;
}

}  // namespace attention::benchmark
