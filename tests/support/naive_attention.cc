#include "tests/support/naive_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/convert.h"
#include "kernels/reference/reference_operands.h"
#include "kernels/reference/reference_scores.h"

namespace attention::test {
namespace {

using kernels::AttentionOptions;
using kernels::AttentionProblem;
using kernels::DataType;
using kernels::FullyMasked;
using kernels::Normalization;
using kernels::ReferencePair;
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

  // The angles of float32 would be wrong by far at great positions; those of float64 are meant.
  Row Rotated(Row row, int64_t position) const {
    if (!problem_.rotary.has_value()) return row;
    const kernels::RotaryEmbedding& rotary = *problem_.rotary;
    const size_t width = rotary.width == 0 ? row.size() : static_cast<size_t>(rotary.width);
    for (size_t k = 0; k < width / 2; ++k) {
      const double exponent = -2.0 * static_cast<double>(k) / static_cast<double>(width);
      const double angle =
          static_cast<double>(position) * rotary.position_scale * std::pow(rotary.base, exponent);
      const Real cosine = static_cast<Real>(std::cos(angle));
      const Real sine = static_cast<Real>(std::sin(angle));
      Real& x = row[rotary.interleaved ? 2 * k : k];
      Real& y = row[rotary.interleaved ? 2 * k + 1 : k + width / 2];
      const Real turned = x * cosine - y * sine;
      y = static_cast<Real>(RoundTo(type_, static_cast<double>(x * sine + y * cosine)));
      x = static_cast<Real>(RoundTo(type_, static_cast<double>(turned)));
    }
    return row;
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

  [[nodiscard]] Real Capped(Real score) const {
    if (!options_.softcap.has_value()) return score;
    const Real softcap = static_cast<Real>(*options_.softcap);
    return softcap * std::tanh(score / softcap);
  }

  [[nodiscard]] Real Masked(const ReferencePair& pair, Real score) const {
    const auto element = [&](const TensorView& mask) {
      return At(mask, pair.batch, pair.head, pair.query, pair.key);
    };
    if (problem_.multiplicative_mask.present()) score *= element(problem_.multiplicative_mask);
    if (!problem_.alibi.slopes.empty() || !problem_.bucketed_bias.table.empty())
      score += static_cast<Real>(kernels::ReferenceRelativeBias(problem_, pair));
    if (problem_.additive_mask.present()) score += element(problem_.additive_mask);
    if (!problem_.temperatures.empty())
      score /= static_cast<Real>(problem_.temperatures[static_cast<size_t>(pair.head)]);
    return score;
  }

  // Fills scores_ and hidden_ with one head's matrix and appends the scores to the result.
  void ComputeScores(int64_t batch, int64_t head, const std::vector<Row>& queries,
                     const std::vector<Row>& keys) {
    scores_.clear();
    hidden_.clear();
    const Real hidden_score = options_.normalization == Normalization::kNone ? Real{0} : -kInfinity;
    for (size_t i = 0; i < queries.size(); ++i) {
      for (size_t j = 0; j < keys.size(); ++j) {
        const ReferencePair pair = {batch, head, static_cast<int64_t>(i), static_cast<int64_t>(j)};
        const Real raw = Score(queries[i], keys[j]);
        const Real capped = Capped(raw);
        result_.raw_scores.push_back(RoundTo(type_, static_cast<double>(raw)));
        result_.capped_scores.push_back(RoundTo(type_, static_cast<double>(capped)));
        hidden_.push_back(kernels::ReferenceHides(problem_, pair));
        scores_.push_back(hidden_.back() ? hidden_score : Masked(pair, capped));
        result_.masked_scores.push_back(RoundTo(type_, static_cast<double>(scores_.back())));
      }
    }
  }

  // Softmax of `count` scores, `step` apart, of which the hidden ones are -infinity, and of a sink.
  // Returns their log-sum-exp.
  Real Softmax(size_t first, size_t step, size_t count, Real sink) {
    Real maximum = sink;
    for (size_t i = 0; i < count; ++i) maximum = std::max(maximum, scores_[first + i * step]);
    Real sum = 0;
    if (sink != -kInfinity) sum = sink == maximum ? Real{1} : std::exp(sink - maximum);
    for (size_t i = 0; i < count; ++i) {
      const size_t at = first + i * step;
      scores_[at] = hidden_[at] ? Real{0} : std::exp(scores_[at] - maximum);
      sum += scores_[at];
    }
    for (size_t i = 0; i < count; ++i) {
      if (!hidden_[first + i * step]) scores_[first + i * step] /= sum;
    }
    return sum == 0 ? -kInfinity : maximum + std::log(sum);
  }

  // Also appends the statistics, which are not rounded to the type.
  void SoftmaxOverKeys(int64_t head, size_t query_count, size_t key_count) {
    const Real sink = problem_.sinks.empty()
                          ? -kInfinity
                          : static_cast<Real>(problem_.sinks[static_cast<size_t>(head)]);
    Row mass(key_count, Real{0});
    for (size_t i = 0; i < query_count; ++i) {
      const size_t first = i * key_count;
      const Real log_sum_exp = Softmax(first, 1, key_count, sink);
      Real entropy = 0;
      Real largest = 0;
      bool all_hidden = sink == -kInfinity;
      for (size_t j = 0; j < key_count; ++j) {
        const Real weight = scores_[first + j];
        if (weight != 0) entropy -= weight * std::log(weight);
        largest = std::max(largest, weight);
        mass[j] += weight;
        all_hidden = all_hidden && hidden_[first + j];
        result_.softmax.push_back(static_cast<double>(weight));
      }
      result_.log_sum_exp.push_back(static_cast<double>(log_sum_exp));
      result_.entropy.push_back(static_cast<double>(entropy));
      result_.maximum_weight.push_back(static_cast<double>(largest));
      if (all_hidden) ApplyPolicy(first, key_count);
    }
    result_.key_mass.insert(result_.key_mass.end(), mass.begin(), mass.end());
  }

  // Its weights are not hidden any more.
  void ApplyPolicy(size_t first, size_t key_count) {
    if (options_.fully_masked == FullyMasked::kZeros) return;
    for (size_t j = 0; j < key_count; ++j) {
      scores_[first + j] = options_.fully_masked == FullyMasked::kNan
                               ? std::numeric_limits<Real>::quiet_NaN()
                               : Real{1} / static_cast<Real>(key_count);
      hidden_[first + j] = false;
    }
  }

  void ComputeHead(int64_t batch, int64_t head) {
    const int64_t key_value_head = head / (problem_.query.extents[1] / problem_.key.extents[1]);
    std::vector<Row> queries, keys, values;
    for (int64_t i = 0; i < problem_.query.extents[2]; ++i) {
      queries.push_back(Rotated(ReadRow(problem_.query, batch, head, i),
                                kernels::ReferencePosition(problem_, batch, i)));
    }
    for (int64_t j = 0; j < problem_.key.extents[2]; ++j) {
      keys.push_back(Rotated(ReadRow(problem_.key, batch, key_value_head, j), j));
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
      SoftmaxOverKeys(head, queries.size(), keys.size());
    } else if (options_.normalization == Normalization::kSoftmaxOverQueries) {
      for (size_t j = 0; j < keys.size(); ++j) Softmax(j, keys.size(), queries.size(), -kInfinity);
    }
    AppendOutputs(head, queries.size(), values);
  }

  void AppendOutputs(int64_t head, size_t query_count, const std::vector<Row>& values) {
    const Real factor = problem_.head_factors.empty()
                            ? Real{1}
                            : static_cast<Real>(problem_.head_factors[static_cast<size_t>(head)]);
    for (Real& weight : scores_) {
      if (factor != 1) weight = factor == 0 ? Real{0} : weight * factor;
      result_.weights.push_back(RoundTo(type_, static_cast<double>(weight)));
      if (type_ == DataType::kBF16) weight = static_cast<Real>(result_.weights.back());
    }
    for (size_t i = 0; i < query_count; ++i) {
      for (int64_t d = 0; d < problem_.value.extents[3]; ++d) {
        Real sum = 0;
        for (size_t j = 0; j < values.size(); ++j) {
          const size_t at = i * values.size() + j;
          if (!hidden_[at] && factor != 0) sum += scores_[at] * values[j][static_cast<size_t>(d)];
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
