#include "tests/benchmark/verification.h"

#include <cstddef>
#include <set>
#include <vector>

#include "kernels/convert.h"
#include "kernels/reference/reference_attention.h"
#include "tests/benchmark/relative_error.h"
#include "tests/support/naive_attention.h"
#include "tests/support/test_tensor.h"

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

// Some rows of one head: a problem with operands of its own, in a type of choice.
class Sample {
 public:
  Sample(const AttentionProblem& problem, int64_t batch, int64_t head, DataType type)
      : batch_(batch), head_(head) {
    const std::set<int64_t> rows = Spread(problem.query.extents[2], kRowsPerHead);
    rows_.assign(rows.begin(), rows.end());
    std::vector<int64_t> all_keys;
    const int64_t key_count = problem.key_lengths.empty()
                                  ? problem.key.extents[2]
                                  : problem.key_lengths[static_cast<size_t>(batch)];
    for (int64_t key = 0; key < key_count; ++key) all_keys.push_back(key);
    const int64_t key_value_head = head * problem.key.extents[1] / problem.query.extents[1];
    query_ = Rows(problem.query, batch, head, rows_, type);
    key_ = Rows(problem.key, batch, key_value_head, all_keys, type);
    value_ = Rows(problem.value, batch, key_value_head, all_keys, type);
    if (problem.causal) HideLaterKeys(key_count);
  }

  [[nodiscard]] AttentionProblem View() const {
    AttentionProblem problem;
    problem.query = query_.View();
    problem.key = key_.View();
    problem.value = value_.View();
    if (mask_.present()) problem.boolean_mask = mask_.view();
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
  void HideLaterKeys(int64_t key_count) {
    mask_ =
        test::TestTensor(DataType::kBool, {1, 1, static_cast<int64_t>(rows_.size()), key_count});
    for (size_t i = 0; i < rows_.size(); ++i) {
      for (int64_t key = 0; key < key_count; ++key) {
        mask_.Set(0, 0, static_cast<int64_t>(i), key, key <= rows_[i] ? 1 : 0);
      }
    }
  }

  const int64_t batch_;
  const int64_t head_;
  std::vector<int64_t> rows_;
  Rows query_, key_, value_;
  test::TestTensor mask_;
};

}  // namespace

absl::Status VerifyAttention(const AttentionProblem& problem,
                             const kernels::AttentionOutputs& outputs, std::string_view precision) {
  const DataType type = problem.query.type;
  const DataType naive_type = NaiveType(type, precision);
  const int64_t head_count = problem.query.extents[1];
  RelativeError output;
  RelativeError weights;
  for (const int64_t index : Spread(problem.query.extents[0] * head_count, 3)) {
    const int64_t batch = index / head_count;
    const int64_t head = index % head_count;
    const Sample sample(problem, batch, head, type);
    const Sample rounded(problem, batch, head, naive_type);
    const ReferenceResult want = kernels::ReferenceAttention(sample.View(), {});
    const ReferenceResult naive = test::NaiveAttention(rounded.View(), {});
    const int64_t width = problem.value.extents[3];
    output.Add(want.output, sample.RowsOf(outputs.output, width), naive.output);
    if (outputs.weights.present()) {
      const int64_t key_count = sample.View().key.extents[2];
      weights.Add(want.weights, sample.RowsOf(outputs.weights, key_count), naive.weights);
    }
  }
  if (absl::Status status = output.Judge("output", type, precision); !status.ok()) return status;
  if (!outputs.weights.present()) return absl::OkStatus();
  return weights.Judge("weights", type, precision);
}

}  // namespace attention::benchmark
