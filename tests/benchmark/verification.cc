#include "tests/benchmark/verification.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <limits>
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

// The given rows of one head: a problem with operands of its own, in a type of choice. Each row is
// a batch entry of its own, at its own position.
class Sample {
 public:
  Sample(const AttentionProblem& problem, int64_t batch, int64_t head,
         const std::set<int64_t>& rows, DataType type)
      : problem_(problem), batch_(batch), head_(head), rows_(rows.begin(), rows.end()) {
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

  // The keys that the rows of the sample have in a list for the whole problem.
  [[nodiscard]] std::vector<int32_t> KeysOf(const kernels::TopWeights& top) const {
    std::vector<int32_t> keys;
    const kernels::Extents& query = problem_.query.extents;
    for (const int64_t row : rows_) {
      const int32_t* begin = top.keys + ((batch_ * query[1] + head_) * query[2] + row) * top.count;
      keys.insert(keys.end(), begin, begin + top.count);
    }
    return keys;
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
  const std::vector<int64_t> rows_;
  Rows query_, key_, value_;
  std::vector<std::byte> boolean_mask_, additive_mask_;
  std::vector<int64_t> key_lengths_;
  std::vector<int32_t> query_segments_, key_segments_;
  std::vector<double> sinks_, slopes_, bias_table_;
};

// The largest weights of each row, the first first, with zeros where keys run out.
std::vector<double> Largest(std::vector<double> weights, int64_t key_count, int64_t count) {
  std::vector<double> largest;
  for (auto row = weights.begin(); row != weights.end(); row += key_count) {
    std::sort(row, row + key_count, std::greater<>());
    for (int64_t i = 0; i < count; ++i) largest.push_back(i < key_count ? row[i] : 0);
  }
  return largest;
}

// The weights of listed keys: 0 for -1, NaN for what is no key.
std::vector<double> AtKeys(const std::vector<double>& weights, int64_t key_count,
                           const std::vector<int32_t>& keys) {
  std::vector<double> listed;
  const size_t row_count = weights.size() / static_cast<size_t>(key_count);
  const size_t count = keys.size() / row_count;
  for (size_t i = 0; i < keys.size(); ++i) {
    const size_t first = i / count * static_cast<size_t>(key_count);
    const bool is_key = keys[i] >= 0 && keys[i] < key_count;
    listed.push_back(is_key ? weights[first + static_cast<size_t>(keys[i])]
                            : (keys[i] == -1 ? 0 : std::numeric_limits<double>::quiet_NaN()));
  }
  return listed;
}

// What the problem's rows together gave each key.
std::vector<double> Total(const std::vector<double>& masses, int64_t key_count) {
  std::vector<double> total(static_cast<size_t>(key_count));
  for (size_t i = 0; i < masses.size(); ++i) total[i % total.size()] += masses[i];
  return total;
}

// A result that has rows as the output has, and what is known of its error.
struct RowResult {
  const char* name;
  TensorView view;  // absent if nobody asked for it
  std::vector<double> ReferenceResult::* values;
  RelativeError error = {};
};

class Verification {
 public:
  Verification(const AttentionProblem& problem, const kernels::AttentionOptions& options,
               const kernels::AttentionOutputs& outputs, std::string_view precision)
      : problem_(problem),
        options_(options),
        outputs_(outputs),
        precision_(precision),
        row_results_{
            {{"output", outputs.output, &ReferenceResult::output},
             {"weights", outputs.weights, &ReferenceResult::weights},
             {"log_sum_exp", outputs.log_sum_exp, &ReferenceResult::log_sum_exp},
             {"entropy", outputs.entropy, &ReferenceResult::entropy},
             {"maximum_weight", outputs.maximum_weight, &ReferenceResult::maximum_weight}}} {}

  void AddSomeRows(int64_t batch, int64_t head) {
    const std::set<int64_t> rows = Spread(problem_.query.extents[2], kRowsPerHead);
    const Sample sample(problem_, batch, head, rows, problem_.query.type);
    const ReferenceResult want = Want(sample);
    const ReferenceResult naive = Naive(batch, head, rows);
    for (RowResult& result : row_results_) {
      if (!result.view.present()) continue;
      result.error.Add(want.*result.values, sample.RowsOf(result.view, result.view.extents[3]),
                       naive.*result.values);
    }
    const kernels::TopWeights& top = outputs_.top_weights;
    if (top.count == 0) return;
    const std::vector<double> got = sample.RowsOf(top.weights, top.count);
    top_weights_.Add(Largest(want.softmax, key_count(), top.count), got,
                     Largest(naive.softmax, key_count(), top.count));
    const std::vector<int32_t> keys = sample.KeysOf(top);
    top_keys_.Add(AtKeys(want.softmax, key_count(), keys), got,
                  AtKeys(naive.softmax, key_count(), keys));
  }

  // To which all rows contribute.
  void AddKeyMass(int64_t batch, int64_t head) {
    std::set<int64_t> rows;
    for (int64_t row = 0; row < problem_.query.extents[2]; ++row) rows.insert(row);
    const Sample sample(problem_, batch, head, rows, problem_.query.type);
    std::vector<double> got(static_cast<size_t>(key_count()));
    const TensorView mass = outputs_.key_mass;
    kernels::LoadElements(mass.type, kernels::RowAddress(mass, batch, head, 0), key_count(),
                          got.data());
    key_mass_.Add(Total(Want(sample).key_mass, key_count()), got,
                  Total(Naive(batch, head, rows).key_mass, key_count()));
  }

  [[nodiscard]] absl::Status Judge() const {
    absl::Status status;
    const auto judge = [&](bool present, const char* name, const RelativeError& error) {
      if (present && status.ok()) status = error.Judge(name, problem_.query.type, precision_);
    };
    for (const RowResult& result : row_results_) {
      judge(result.view.present(), result.name, result.error);
    }
    judge(outputs_.top_weights.count > 0, "top_weights.weights", top_weights_);
    judge(outputs_.top_weights.count > 0, "top_weights.keys", top_keys_);
    judge(outputs_.key_mass.present(), "key_mass", key_mass_);
    return status;
  }

 private:
  [[nodiscard]] int64_t key_count() const { return problem_.key.extents[2]; }

  [[nodiscard]] ReferenceResult Want(const Sample& sample) const {
    return kernels::ReferenceAttention(sample.View(), options_);
  }

  [[nodiscard]] ReferenceResult Naive(int64_t batch, int64_t head,
                                      const std::set<int64_t>& rows) const {
    const DataType type = NaiveType(problem_.query.type, precision_);
    return test::NaiveAttention(Sample(problem_, batch, head, rows, type).View(), options_);
  }

  const AttentionProblem& problem_;
  const kernels::AttentionOptions& options_;
  const kernels::AttentionOutputs& outputs_;
  const std::string_view precision_;
  std::array<RowResult, 5> row_results_;
  RelativeError top_weights_, top_keys_, key_mass_;
};

}  // namespace

absl::Status VerifyAttention(const AttentionProblem& problem,
                             const kernels::AttentionOptions& options,
                             const kernels::AttentionOutputs& outputs, std::string_view precision) {
  const int64_t head_count = problem.query.extents[1];
  Verification verification(problem, options, outputs, precision);
  for (const int64_t index : Spread(problem.query.extents[0] * head_count, 3)) {
    verification.AddSomeRows(index / head_count, index % head_count);
  }
  if (outputs.key_mass.present()) verification.AddKeyMass(0, 0);
  return verification.Judge();
}

}  // namespace attention::benchmark
