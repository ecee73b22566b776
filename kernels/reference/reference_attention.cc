#include "kernels/reference/reference_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/reference/reference_operands.h"
#include "kernels/reference/reference_scores.h"

namespace attention::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

using Vector = std::vector<double>;

void Append(const Vector& values, Vector& all) {
  all.insert(all.end(), values.begin(), values.end());
}

// e^(score - maximum), 1 where both are the same infinity.
double Exponential(double score, double maximum) {
  return score == maximum ? 1.0 : std::exp(score - maximum);
}

// The softmax of some visible scores and of a sink, which is -infinity where there is none. A score
// of -infinity weighs 0, whatever the others are.
struct Softmax {
  Vector weights;
  double log_sum_exp;
};

Softmax SoftmaxOf(const Vector& scores, double sink) {
  double maximum = sink;
  for (const double score : scores) {
    if (score > maximum) maximum = score;
  }
  double sum = sink == -kInfinity ? 0.0 : Exponential(sink, maximum);
  Softmax softmax;
  for (const double score : scores) {
    softmax.weights.push_back(score == -kInfinity ? 0.0 : std::exp(score - maximum));
    sum += softmax.weights.back();
  }
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] != -kInfinity) softmax.weights[i] /= sum;
  }
  softmax.log_sum_exp = sum == 0.0 ? -kInfinity : maximum + std::log(sum);
  return softmax;
}

// -sum of w ln w.
double EntropyOf(const Vector& weights) {
  double entropy = 0.0;
  for (const double weight : weights) {
    if (weight != 0.0) entropy -= weight * std::log(weight);
  }
  return entropy;
}

// The largest, or NaN if there is one, or 0 if there is none.
double LargestOf(const Vector& weights) {
  double largest = 0.0;
  for (const double weight : weights) {
    if (std::isnan(weight)) return kNaN;
    largest = std::max(largest, weight);
  }
  return largest;
}

class Head {
 public:
  Head(const AttentionProblem& problem, const AttentionOptions& options, int64_t batch,
       int64_t head)
      : problem_(problem),
        options_(options),
        batch_(batch),
        head_(head),
        query_count_(static_cast<size_t>(problem.query.extents[2])),
        key_count_(static_cast<size_t>(problem.key.extents[2])),
        scores_(ComputeReferenceScores(problem, options, batch, head)) {}

  void AppendTo(ReferenceResult& result) {
    Append(scores_.raw, result.raw_scores);
    Append(scores_.capped, result.capped_scores);
    Append(scores_.masked, result.masked_scores);
    switch (options_.normalization) {
      case Normalization::kSoftmaxOverKeys:
        NormalizeOverKeys(result);
        break;
      case Normalization::kSoftmaxOverQueries:
        NormalizeOverQueries();
        break;
      case Normalization::kNone:
        weights_ = scores_.masked;
        break;
    }
    const double factor =
        problem_.head_factors.empty() ? 1.0 : problem_.head_factors[static_cast<size_t>(head_)];
    for (double& weight : weights_) weight = factor == 0.0 ? 0.0 : factor * weight;
    Append(weights_, result.weights);
    AppendOutputs(factor == 0.0, result);
  }

 private:
  void NormalizeOverKeys(ReferenceResult& result) {
    const double sink =
        problem_.sinks.empty() ? -kInfinity : problem_.sinks[static_cast<size_t>(head_)];
    Vector mass(key_count_, 0.0);
    for (size_t i = 0; i < query_count_; ++i) {
      Vector visible;
      for (size_t j = 0; j < key_count_; ++j) {
        if (!Hidden(i, j)) visible.push_back(scores_.masked[i * key_count_ + j]);
      }
      const Softmax softmax = SoftmaxOf(visible, sink);
      result.log_sum_exp.push_back(softmax.log_sum_exp);
      result.entropy.push_back(EntropyOf(softmax.weights));
      result.maximum_weight.push_back(LargestOf(softmax.weights));
      const bool sees_nothing =
          sink == -kInfinity && std::ranges::count(visible, -kInfinity) == std::ssize(visible);
      size_t next = 0;
      for (size_t j = 0; j < key_count_; ++j) {
        const double weight = Hidden(i, j) ? 0.0 : softmax.weights[next++];
        result.softmax.push_back(weight);
        mass[j] += weight;
        weights_.push_back(sees_nothing ? FullyMaskedWeight() : weight);
      }
      fully_masked_.push_back(sees_nothing);
    }
    Append(mass, result.key_mass);
  }

  void NormalizeOverQueries() {
    weights_.assign(query_count_ * key_count_, 0.0);
    for (size_t j = 0; j < key_count_; ++j) {
      Vector visible;
      for (size_t i = 0; i < query_count_; ++i) {
        if (!Hidden(i, j)) visible.push_back(scores_.masked[i * key_count_ + j]);
      }
      const Softmax softmax = SoftmaxOf(visible, -kInfinity);
      size_t next = 0;
      for (size_t i = 0; i < query_count_; ++i) {
        if (!Hidden(i, j)) weights_[i * key_count_ + j] = softmax.weights[next++];
      }
    }
  }

  // Hidden values meet no weight, unless the whole row is hidden and the policy gives them one.
  void AppendOutputs(bool switched_off, ReferenceResult& result) const {
    const int64_t key_value_head = head_ / (problem_.query.extents[1] / problem_.key.extents[1]);
    std::vector<Vector> values;
    for (size_t j = 0; j < key_count_; ++j) {
      values.push_back(
          ReferenceRow(problem_.value, batch_, key_value_head, static_cast<int64_t>(j)));
    }
    for (size_t i = 0; i < query_count_; ++i) {
      const bool sees_nothing = !fully_masked_.empty() && fully_masked_[i];
      const bool zeros = sees_nothing && options_.fully_masked == FullyMasked::kZeros;
      for (size_t d = 0; d < static_cast<size_t>(problem_.value.extents[3]); ++d) {
        double sum = 0.0;
        for (size_t j = 0; j < key_count_ && !switched_off && !zeros; ++j) {
          if (sees_nothing || !Hidden(i, j)) sum += weights_[i * key_count_ + j] * values[j][d];
        }
        result.output.push_back(sum);
      }
    }
  }

  [[nodiscard]] bool Hidden(size_t query, size_t key) const {
    return scores_.hidden[query * key_count_ + key];
  }

  [[nodiscard]] double FullyMaskedWeight() const {
    switch (options_.fully_masked) {
      case FullyMasked::kZeros:
        return 0.0;
      case FullyMasked::kNan:
        return kNaN;
      case FullyMasked::kUniform:
        return 1.0 / static_cast<double>(key_count_);
    }
    return kNaN;
  }

  const AttentionProblem& problem_;
  const AttentionOptions& options_;
  const int64_t batch_;
  const int64_t head_;
  const size_t query_count_;
  const size_t key_count_;
  const ReferenceScores scores_;
  Vector weights_;
  std::vector<bool> fully_masked_;
};

}  // namespace

ReferenceResult ReferenceAttention(const AttentionProblem& problem,
                                   const AttentionOptions& options) {
  ReferenceResult result;
  for (int64_t batch = 0; batch < problem.query.extents[0]; ++batch) {
    for (int64_t head = 0; head < problem.query.extents[1]; ++head) {
      Head(problem, options, batch, head).AppendTo(result);
    }
  }
  return result;
}

}  // namespace attention::kernels
