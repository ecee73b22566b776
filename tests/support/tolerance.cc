#include "tests/support/tolerance.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "tests/support/naive_attention.h"
#include "tests/support/score_error.h"

namespace attention::test {
namespace {

using kernels::AttentionOptions;
using kernels::AttentionProblem;
using kernels::DataType;
using kernels::Normalization;
using kernels::ReferenceResult;

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
  void DeriveHead(int64_t batch, int64_t head) {
    const int64_t key_value_head = head / (problem_.query.extents[1] / problem_.key.extents[1]);
    const auto at_head = [head](std::span<const double> numbers, double absent) {
      return std::abs(numbers.empty() ? absent : Finite(numbers[static_cast<size_t>(head)]));
    };
    const ScoreErrors errors = ComputeScoreErrors(problem_, options_, reference_, first_pair_,
                                                  precision_.result / precision_.arithmetic);
    DeriveScores(errors);
    const double naive_weight =
        LargestError(naive_.weights, reference_.weights, first_pair_, errors.raw.size());
    double largest_score = at_head(problem_.sinks, 0.0);
    for (const double error : errors.masked) largest_score = std::max(largest_score, error);

    const bool none = options_.normalization == Normalization::kNone;
    std::vector<double> weight_errors;
    std::vector<double> relative_errors;  // of weights that nothing has rounded yet
    for (size_t pair = 0; pair < errors.raw.size(); ++pair) {
      const double weight = std::abs(Finite(reference_.weights[first_pair_ + pair]));
      // The exponential turns absolute errors of the score and of the maximum into relative ones.
      relative_errors.push_back(precision_.arithmetic *
                                (2.0 + errors.masked[pair] + largest_score));
      const double error =
          none ? at_head(problem_.head_factors, 1.0) * precision_.arithmetic * errors.masked[pair] +
                     precision_.weight * weight
               : weight * (precision_.weight + relative_errors[pair]);
      weight_errors.push_back(error);
      tolerance_.weights.push_back(2.0 * naive_weight + roundings_ * error +
                                   2.0 * precision_.result * weight + precision_.underflow);
    }
    if (!reference_.log_sum_exp.empty()) DeriveStatistics(relative_errors);
    naive_output_ =
        LargestError(naive_.output, reference_.output, first_output_, query_count_ * value_width_);
    values_.clear();
    for (int64_t j = 0; j < problem_.key.extents[2]; ++j) {
      values_.push_back(AbsoluteRow(problem_.value, batch, key_value_head, j));
    }
    for (size_t i = 0; i < query_count_; ++i) DeriveOutputRow(i, weight_errors);
    first_pair_ += errors.raw.size();
    first_row_ += query_count_;
    first_mass_ += key_count_;
    first_output_ += query_count_ * value_width_;
  }

  void DeriveScores(const ScoreErrors& errors) {
    const auto naive_error = [&](std::vector<double> ReferenceResult::* scores) {
      return LargestError(naive_.*scores, reference_.*scores, first_pair_, errors.raw.size());
    };
    const double naive = std::max({naive_error(&ReferenceResult::raw_scores),
                                   naive_error(&ReferenceResult::capped_scores),
                                   naive_error(&ReferenceResult::masked_scores)});
    for (size_t pair = 0; pair < errors.raw.size(); ++pair) {
      const double raw = Finite(reference_.raw_scores[first_pair_ + pair]);
      const double masked = Finite(reference_.masked_scores[first_pair_ + pair]);
      tolerance_.scores.push_back(
          2.0 * naive +
          roundings_ * precision_.arithmetic * (errors.raw[pair] + errors.masked[pair]) +
          2.0 * precision_.result * std::max(std::abs(raw), std::abs(masked)) +
          precision_.underflow);
    }
  }

  // `relative_errors` are those of the weights. Neither these nor statistics are rounded to the
  // type of the operands.
  void DeriveStatistics(const std::vector<double>& relative_errors) {
    const auto naive_error = [&](std::vector<double> ReferenceResult::* statistic, size_t first,
                                 size_t count) {
      return 2.0 * LargestError(naive_.*statistic, reference_.*statistic, first, count);
    };
    const double naive_sum = naive_error(&ReferenceResult::log_sum_exp, first_row_, query_count_);
    const double naive_entropy = naive_error(&ReferenceResult::entropy, first_row_, query_count_);
    const double naive_weight =
        naive_error(&ReferenceResult::softmax, first_pair_, relative_errors.size());
    const double naive_mass = naive_error(&ReferenceResult::key_mass, first_mass_, key_count_);
    std::vector<double> mass_squares(key_count_, 0.0);
    std::vector<double> masses(key_count_, 0.0);
    for (size_t i = 0; i < query_count_; ++i) {
      double sum_square = 0.0;
      double entropy_error = 0.0;
      double largest = 0.0;
      for (size_t j = 0; j < key_count_; ++j) {
        const size_t pair = i * key_count_ + j;
        const double weight = Finite(reference_.softmax[first_pair_ + pair]);
        const double error = weight * relative_errors[pair];
        sum_square += error * error;
        if (weight > 0.0) entropy_error += error * (1.0 + std::abs(std::log(weight)));
        mass_squares[j] += error * error;
        masses[j] += weight;
        largest = std::max(largest, naive_weight + roundings_ * error + Stored(weight));
        tolerance_.softmax.push_back(naive_weight + roundings_ * error + Stored(weight));
      }
      const double log_sum_exp = std::abs(Finite(reference_.log_sum_exp[first_row_ + i]));
      tolerance_.log_sum_exp.push_back(
          naive_sum +
          roundings_ * (std::sqrt(sum_square) + precision_.arithmetic * (1.0 + log_sum_exp)) +
          Stored(log_sum_exp));
      tolerance_.entropy.push_back(naive_entropy + roundings_ * entropy_error +
                                   Stored(Finite(reference_.entropy[first_row_ + i])));
      tolerance_.maximum_weight.push_back(largest);
    }
    for (size_t j = 0; j < key_count_; ++j) {
      // Masses may be sums of integers, so that the order of queries does not matter; those of all
      // queries then fit into 62 bits.
      const auto queries = static_cast<double>(query_count_);
      const double units =
          problem_.query.type == DataType::kF64 ? 0.0 : queries * queries * 0x1p-62;
      tolerance_.key_mass.push_back(naive_mass + roundings_ * std::sqrt(mass_squares[j]) + units +
                                    Stored(masses[j]));
    }
  }

  // The rounding of a statistic when it is stored.
  [[nodiscard]] double Stored(double value) const {
    return 2.0 * precision_.arithmetic * value + 0x1p-126;
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
  size_t first_row_ = 0;
  size_t first_mass_ = 0;
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

}  // namespace attention::test
