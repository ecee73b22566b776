#include "tests/support/tolerance.h"

#include <algorithm>
#include <cmath>

#include "kernels/convert.h"
#include "tests/support/naive_attention.h"

namespace attention::test {
namespace {

using kernels::AttentionOptions;
using kernels::AttentionProblem;
using kernels::DataType;
using kernels::Normalization;
using kernels::ReferenceResult;
using kernels::ScoreKind;
using kernels::TensorView;

// Largest relative error of one rounding, and what may be lost where numbers are too small for
// that: one unit of the denormals, or all of them where matrix units take denormals for zeros.
struct Precision {
  double arithmetic;  // of sums and products
  double weight;      // of a weight that multiplies a value
  double result;      // of what is stored
  double underflow;
};

Precision PrecisionOf(DataType type) {
  switch (type) {
    case DataType::kF64:
      return {0x1p-53, 0x1p-53, 0x1p-53, 0x1p-1022};
    case DataType::kF16:
      return {0x1p-24, 0x1p-24, 0x1p-11, 0x1p-24};
    case DataType::kBF16:
      return {0x1p-24, 0x1p-9, 0x1p-9, 0x1p-126};
    default:
      return {0x1p-24, 0x1p-24, 0x1p-24, 0x1p-126};
  }
}

double At(const TensorView& view, int64_t batch, int64_t head, int64_t row, int64_t column) {
  return kernels::LoadElement(
      view.type,
      kernels::RowAddress(view, batch, head, row) +
          static_cast<ptrdiff_t>(kernels::ElementBytes(view.type)) * column * view.strides[3]);
}

// `value`, or 0 for what is not finite: that is compared exactly, and elsewhere it was hidden.
double Finite(double value) { return std::isfinite(value) ? value : 0.0; }

std::vector<double> AbsoluteRow(const TensorView& view, int64_t batch, int64_t head, int64_t row) {
  std::vector<double> values;
  for (int64_t i = 0; i < view.extents[3]; ++i)
    values.push_back(std::abs(Finite(At(view, batch, head, row, i))));
  return values;
}

std::vector<double> AbsoluteProduct(const std::vector<double>& row, const TensorView& matrix) {
  std::vector<double> product(static_cast<size_t>(matrix.extents[3]), 0.0);
  for (size_t i = 0; i < row.size(); ++i) {
    for (size_t j = 0; j < product.size(); ++j) {
      product[j] +=
          row[i] * std::abs(At(matrix, 0, 0, static_cast<int64_t>(i), static_cast<int64_t>(j)));
    }
  }
  return product;
}

double LargestError(const std::vector<double>& got, const std::vector<double>& want, size_t first,
                    size_t count) {
  double largest = 0.0;
  for (size_t i = first; i < first + count; ++i) {
    const double error = std::abs(got[i] - want[i]);
    if (std::isfinite(error)) largest = std::max(largest, error);
  }
  return largest;
}

class Derivation {
 public:
  Derivation(const AttentionProblem& problem, const AttentionOptions& options,
             const ReferenceResult& reference)
      : problem_(problem),
        options_(options),
        reference_(reference),
        naive_(NaiveAttention(problem, options)),
        precision_(PrecisionOf(problem.query.type)),
        query_count_(static_cast<size_t>(problem.query.extents[2])),
        key_count_(static_cast<size_t>(problem.key.extents[2])),
        value_width_(static_cast<size_t>(problem.value.extents[3])) {
    if (problem.query.type == DataType::kF64) {
      roundings_ *=
          std::sqrt(1.0 + static_cast<double>(problem.key.extents[2] + problem.key.extents[3]));
    }
  }

  Tolerance Derive() {
    for (int64_t batch = 0; batch < problem_.query.extents[0]; ++batch) {
      for (int64_t head = 0; head < problem_.query.extents[1]; ++head) DeriveHead(batch, head);
    }
    return std::move(tolerance_);
  }

 private:
  // Sums of the absolute values of the terms that make up the score of each pair of the head.
  std::vector<double> ScoreNorms(int64_t batch, int64_t head, int64_t key_value_head) const {
    const double width = static_cast<double>(problem_.key.extents[3]);
    const bool dot_product = options_.score == ScoreKind::kDotProduct;
    const double scale =
        std::abs(options_.scale.value_or(dot_product ? 1.0 / std::sqrt(width) : 1.0));
    std::vector<std::vector<double>> keys;
    for (int64_t j = 0; j < problem_.key.extents[2]; ++j) {
      keys.push_back(AbsoluteRow(problem_.key, batch, key_value_head, j));
      if (options_.score == ScoreKind::kAdditive)
        keys.back() = AbsoluteProduct(keys.back(), problem_.score_second_weight);
    }
    std::vector<double> norms;
    for (int64_t i = 0; i < problem_.query.extents[2]; ++i) {
      std::vector<double> query = AbsoluteRow(problem_.query, batch, head, i);
      if (!dot_product) query = AbsoluteProduct(query, problem_.score_first_weight);
      for (const std::vector<double>& key : keys) {
        double norm = 0.0;
        for (size_t c = 0; c < query.size(); ++c) {
          norm += options_.score == ScoreKind::kAdditive
                      ? std::abs(At(problem_.score_vector, 0, 0, 0, static_cast<int64_t>(c))) *
                            (1.0 + query[c] + key[c])
                      : query[c] * key[c];
        }
        norms.push_back(scale * norm);
      }
    }
    return norms;
  }

  // Absolute error of the masked score of each pair, as multiples of precision_.arithmetic.
  std::vector<double> MaskedScoreErrors(int64_t batch, int64_t head,
                                        const std::vector<double>& norms) const {
    std::vector<double> errors = norms;
    for (size_t pair = 0; pair < errors.size(); ++pair) {
      const auto i = static_cast<int64_t>(pair / key_count_);
      const auto j = static_cast<int64_t>(pair % key_count_);
      if (problem_.multiplicative_mask.present()) {
        errors[pair] *= std::abs(At(problem_.multiplicative_mask, batch, head, i, j));
      }
      if (problem_.additive_mask.present()) {
        errors[pair] += std::abs(Finite(At(problem_.additive_mask, batch, head, i, j)));
      }
      errors[pair] += std::abs(Finite(reference_.masked_scores[first_pair_ + pair]));
    }
    return errors;
  }

  void DeriveHead(int64_t batch, int64_t head) {
    const int64_t key_value_head = head / (problem_.query.extents[1] / problem_.key.extents[1]);
    const std::vector<double> norms = ScoreNorms(batch, head, key_value_head);
    const std::vector<double> score_errors = MaskedScoreErrors(batch, head, norms);
    const double naive_score =
        LargestError(naive_.masked_scores, reference_.masked_scores, first_pair_, norms.size());
    const double naive_raw =
        LargestError(naive_.raw_scores, reference_.raw_scores, first_pair_, norms.size());
    const double naive_weight =
        LargestError(naive_.weights, reference_.weights, first_pair_, norms.size());

    const bool none = options_.normalization == Normalization::kNone;
    double largest_score = 0.0;
    for (const double error : score_errors) largest_score = std::max(largest_score, error);
    std::vector<double> weight_errors;
    for (size_t pair = 0; pair < norms.size(); ++pair) {
      const double raw = Finite(reference_.raw_scores[first_pair_ + pair]);
      const double masked = Finite(reference_.masked_scores[first_pair_ + pair]);
      const double weight = std::abs(Finite(reference_.weights[first_pair_ + pair]));
      tolerance_.scores.push_back(
          2.0 * std::max(naive_score, naive_raw) +
          roundings_ * precision_.arithmetic * (norms[pair] + score_errors[pair]) +
          2.0 * precision_.result * std::max(std::abs(raw), std::abs(masked)) +
          precision_.underflow);
      // The exponential turns absolute errors of the score and of the maximum into relative ones.
      const double error =
          none ? precision_.arithmetic * score_errors[pair] + precision_.weight * weight
               : weight * (precision_.weight +
                           precision_.arithmetic * (1.0 + score_errors[pair] + largest_score));
      weight_errors.push_back(error);
      tolerance_.weights.push_back(2.0 * naive_weight + roundings_ * error +
                                   2.0 * precision_.result * weight + precision_.underflow);
    }
    naive_output_ =
        LargestError(naive_.output, reference_.output, first_output_, query_count_ * value_width_);
    values_.clear();
    for (int64_t j = 0; j < problem_.key.extents[2]; ++j) {
      values_.push_back(AbsoluteRow(problem_.value, batch, key_value_head, j));
    }
    for (size_t i = 0; i < query_count_; ++i) DeriveOutputRow(i, weight_errors);
    first_pair_ += norms.size();
    first_output_ += query_count_ * value_width_;
  }

  void DeriveOutputRow(size_t i, const std::vector<double>& weight_errors) {
    std::vector<double> value_squares(value_width_, 0.0);
    std::vector<double> term_sums(value_width_, 0.0);
    double weight_square = 0.0;  // an error of the sum of weights scales the whole output
    for (size_t j = 0; j < key_count_; ++j) {
      const double error = weight_errors[i * key_count_ + j];
      const double weight = std::abs(Finite(reference_.weights[first_pair_ + i * key_count_ + j]));
      weight_square += error * error;
      for (size_t d = 0; d < value_width_; ++d) {
        value_squares[d] += error * error * values_[j][d] * values_[j][d];
        term_sums[d] += weight * values_[j][d];
      }
    }
    for (size_t d = 0; d < value_width_; ++d) {
      const double output =
          std::abs(Finite(reference_.output[first_output_ + i * value_width_ + d]));
      tolerance_.output.push_back(2.0 * naive_output_ +
                                  roundings_ * (std::sqrt(value_squares[d]) +
                                                output * std::sqrt(weight_square) +
                                                precision_.arithmetic * term_sums[d]) +
                                  2.0 * precision_.result * output + precision_.underflow);
    }
  }

  const AttentionProblem& problem_;
  const AttentionOptions& options_;
  const ReferenceResult& reference_;
  const ReferenceResult naive_;
  const Precision precision_;
  const size_t query_count_;
  const size_t key_count_;
  const size_t value_width_;
  double roundings_ = 4.0;
  // Of the current head.
  size_t first_pair_ = 0;
  size_t first_output_ = 0;
  double naive_output_ = 0.0;                // the largest error
  std::vector<std::vector<double>> values_;  // absolute
  Tolerance tolerance_;
};

}  // namespace

Tolerance DeriveTolerance(const AttentionProblem& problem, const AttentionOptions& options,
                          const ReferenceResult& reference) {
  return Derivation(problem, options, reference).Derive();
}

testing::AssertionResult IsWithin(const std::vector<double>& got, const std::vector<double>& want,
                                  const std::vector<double>& tolerance) {
  if (got.size() != want.size() || want.size() != tolerance.size()) {
    return testing::AssertionFailure() << got.size() << " elements, want " << want.size()
                                       << ", and " << tolerance.size() << " tolerances";
  }
  for (size_t i = 0; i < got.size(); ++i) {
    const bool right = std::isfinite(want[i])
                           ? std::abs(got[i] - want[i]) <= tolerance[i]
                           : (std::isnan(want[i]) ? std::isnan(got[i]) : got[i] == want[i]);
    if (!right) {
      return testing::AssertionFailure()
             << "element " << i << " of " << got.size() << ": got " << got[i] << ", want "
             << want[i] << " within " << tolerance[i];
    }
  }
  return testing::AssertionSuccess();
}

testing::AssertionResult MatchesReference(const TestProblem& problem, const TestOutputs& outputs) {
  const kernels::AttentionProblem view = problem.View();
  const AttentionOptions& options = problem.recipe.options;
  const ReferenceResult reference = kernels::ReferenceAttention(view, options);
  const Tolerance tolerance = DeriveTolerance(view, options, reference);
  testing::AssertionResult result =
      IsWithin(outputs.output.Values(), reference.output, tolerance.output);
  if (!result) return result << "\nin output of " << problem.recipe;
  if (outputs.weights.present()) {
    result = IsWithin(outputs.weights.Values(), reference.weights, tolerance.weights);
    if (!result) return result << "\nin weights of " << problem.recipe;
  }
  if (outputs.scores.present()) {
    const bool raw = options.scores == kernels::ScoresOutput::kRaw;
    result = IsWithin(outputs.scores.Values(), raw ? reference.raw_scores : reference.masked_scores,
                      tolerance.scores);
    if (!result) return result << "\nin scores of " << problem.recipe;
  }
  return result;
}

}  // namespace attention::test
