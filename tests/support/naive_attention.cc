#include "tests/support/naive_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/convert.h"

namespace attention::test {
namespace {

using kernels::AttentionOptions;
using kernels::AttentionProblem;
using kernels::DataType;
using kernels::Normalization;
using kernels::ScoreKind;
using kernels::TensorView;

double RoundTo(DataType type, double value) {
  double element = 0.0;
  kernels::StoreElements(type, &value, 1, &element);
  return kernels::LoadElement(type, &element);
}

template <typename Real>
class Naive {
 public:
  Naive(const AttentionProblem& problem, const AttentionOptions& options)
      : problem_(problem), options_(options), type_(problem.query.type) {}

  kernels::ReferenceResult Compute() {
    for (int64_t batch = 0; batch < problem_.query.extents[0]; ++batch) {
      for (int64_t head = 0; head < problem_.query.extents[1]; ++head) ComputeHead(batch, head);
    }
    return std::move(result_);
  }

 private:
  using Row = std::vector<Real>;

  static Real At(const TensorView& view, int64_t batch, int64_t head, int64_t row, int64_t column) {
    const std::byte* address =
        kernels::RowAddress(view, batch, head, row) +
        static_cast<ptrdiff_t>(kernels::ElementBytes(view.type)) * column * view.strides[3];
    return static_cast<Real>(kernels::LoadElement(view.type, address));
  }

  static Row ReadRow(const TensorView& view, int64_t batch, int64_t head, int64_t row) {
    Row values(static_cast<size_t>(view.extents[3]));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = At(view, batch, head, row, static_cast<int64_t>(i));
    return values;
  }

  static Row Product(const Row& row, const TensorView& matrix) {
    Row product(static_cast<size_t>(matrix.extents[3]), Real{0});
    for (size_t j = 0; j < product.size(); ++j) {
      for (size_t i = 0; i < row.size(); ++i) {
        product[j] += row[i] * At(matrix, 0, 0, static_cast<int64_t>(i), static_cast<int64_t>(j));
      }
    }
    return product;
  }

  [[nodiscard]] Real Score(const Row& query, const Row& key) const {
    Real sum = 0;
    for (size_t i = 0; i < query.size(); ++i) {
      sum += options_.score == ScoreKind::kAdditive
                 ? At(problem_.score_vector, 0, 0, 0, static_cast<int64_t>(i)) *
                       std::tanh(query[i] + key[i])
                 : query[i] * key[i];
    }
    const double width = static_cast<double>(problem_.key.extents[3]);
    const double usual_scale =
        options_.score == ScoreKind::kDotProduct ? 1.0 / std::sqrt(width) : 1.0;
    return static_cast<Real>(options_.scale.value_or(usual_scale)) * sum;
  }

  [[nodiscard]] bool Hidden(int64_t batch, int64_t head, int64_t query, int64_t key) const {
    if (problem_.causal && key - query > problem_.query_offset) return true;
    if (!problem_.key_lengths.empty() && key >= problem_.key_lengths[static_cast<size_t>(batch)])
      return true;
    if (problem_.boolean_mask.present() && At(problem_.boolean_mask, batch, head, query, key) == 0)
      return true;
    return problem_.additive_mask.present() &&
           At(problem_.additive_mask, batch, head, query, key) == -kInfinity;
  }

  // Fills scores_ and hidden_ with one head's matrix and appends the scores to the result.
  void ComputeScores(int64_t batch, int64_t head, const std::vector<Row>& queries,
                     const std::vector<Row>& keys) {
    scores_.clear();
    hidden_.clear();
    const bool none = options_.normalization == Normalization::kNone;
    for (size_t i = 0; i < queries.size(); ++i) {
      for (size_t j = 0; j < keys.size(); ++j) {
        const auto query = static_cast<int64_t>(i);
        const auto key = static_cast<int64_t>(j);
        Real score = Score(queries[i], keys[j]);
        result_.raw_scores.push_back(RoundTo(type_, static_cast<double>(score)));
        if (problem_.multiplicative_mask.present())
          score *= At(problem_.multiplicative_mask, batch, head, query, key);
        if (problem_.additive_mask.present())
          score += At(problem_.additive_mask, batch, head, query, key);
        const bool hidden = Hidden(batch, head, query, key);
        if (hidden) score = none ? Real{0} : -kInfinity;
        result_.masked_scores.push_back(RoundTo(type_, static_cast<double>(score)));
        scores_.push_back(score);
        hidden_.push_back(hidden);
      }
    }
  }

  // Softmax of `count` scores, `step` apart, of which the hidden ones are -infinity.
  void Softmax(size_t first, size_t step, size_t count) {
    Real maximum = -kInfinity;
    for (size_t i = 0; i < count; ++i) maximum = std::max(maximum, scores_[first + i * step]);
    Real sum = 0;
    for (size_t i = 0; i < count; ++i) {
      const size_t at = first + i * step;
      scores_[at] = hidden_[at] ? Real{0} : std::exp(scores_[at] - maximum);
      sum += scores_[at];
    }
    for (size_t i = 0; i < count; ++i) {
      if (!hidden_[first + i * step]) scores_[first + i * step] /= sum;
    }
  }

  void ComputeHead(int64_t batch, int64_t head) {
    const int64_t key_value_head = head / (problem_.query.extents[1] / problem_.key.extents[1]);
    std::vector<Row> queries, keys, values;
    for (int64_t i = 0; i < problem_.query.extents[2]; ++i)
      queries.push_back(ReadRow(problem_.query, batch, head, i));
    for (int64_t j = 0; j < problem_.key.extents[2]; ++j) {
      keys.push_back(ReadRow(problem_.key, batch, key_value_head, j));
      values.push_back(ReadRow(problem_.value, batch, key_value_head, j));
    }
    if (options_.score != ScoreKind::kDotProduct) {
      for (Row& query : queries) query = Product(query, problem_.score_first_weight);
    }
    if (options_.score == ScoreKind::kAdditive) {
      for (Row& key : keys) key = Product(key, problem_.score_second_weight);
    }
    ComputeScores(batch, head, queries, keys);
    if (options_.normalization == Normalization::kSoftmaxOverKeys) {
      for (size_t i = 0; i < queries.size(); ++i) Softmax(i * keys.size(), 1, keys.size());
    } else if (options_.normalization == Normalization::kSoftmaxOverQueries) {
      for (size_t j = 0; j < keys.size(); ++j) Softmax(j, keys.size(), queries.size());
    }
    AppendOutputs(queries.size(), values);
  }

  void AppendOutputs(size_t query_count, const std::vector<Row>& values) {
    for (Real& weight : scores_) {
      result_.weights.push_back(RoundTo(type_, static_cast<double>(weight)));
      if (type_ == DataType::kBF16) weight = static_cast<Real>(result_.weights.back());
    }
    for (size_t i = 0; i < query_count; ++i) {
      for (int64_t d = 0; d < problem_.value.extents[3]; ++d) {
        Real sum = 0;
        for (size_t j = 0; j < values.size(); ++j) {
          const size_t at = i * values.size() + j;
          if (!hidden_[at]) sum += scores_[at] * values[j][static_cast<size_t>(d)];
        }
        result_.output.push_back(RoundTo(type_, static_cast<double>(sum)));
      }
    }
  }

  static constexpr Real kInfinity = std::numeric_limits<Real>::infinity();
  const AttentionProblem& problem_;
  const AttentionOptions& options_;
  const DataType type_;
  kernels::ReferenceResult result_;
  std::vector<Real> scores_;
  std::vector<bool> hidden_;
};

}  // namespace

kernels::ReferenceResult NaiveAttention(const AttentionProblem& problem,
                                        const AttentionOptions& options) {
  if (problem.query.type == DataType::kF64) return Naive<double>(problem, options).Compute();
  return Naive<float>(problem, options).Compute();
}

}  // namespace attention::test
