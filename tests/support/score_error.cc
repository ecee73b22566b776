#include "tests/support/score_error.h"

#include <algorithm>
#include <cmath>

#include "kernels/convert.h"
#include "kernels/reference/reference_scores.h"

namespace attention::test {
namespace {

using kernels::AttentionOptions;
using kernels::AttentionProblem;
using kernels::ReferencePair;
using kernels::ReferenceResult;
using kernels::ScoreKind;
using kernels::TensorView;

double At(const TensorView& view, int64_t batch, int64_t head, int64_t row, int64_t column) {
  return kernels::LoadElement(
      view.type,
      kernels::RowAddress(view, batch, head, row) +
          static_cast<ptrdiff_t>(kernels::ElementBytes(view.type)) * column * view.strides[3]);
}

double At(const TensorView& mask, const ReferencePair& pair) {
  return At(mask, pair.batch, pair.head, pair.query, pair.key);
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

class HeadErrors {
 public:
  HeadErrors(const AttentionProblem& problem, const AttentionOptions& options, size_t first_pair)
      : problem_(problem), options_(options), first_pair_(first_pair) {
    const auto pairs_per_head =
        static_cast<size_t>(problem.query.extents[2] * problem.key.extents[2]);
    const auto index = pairs_per_head == 0 ? 0 : static_cast<int64_t>(first_pair / pairs_per_head);
    batch_ = index / problem.query.extents[1];
    head_ = index % problem.query.extents[1];
  }

  ScoreErrors Compute(const ReferenceResult& reference, double stored_roundings) const {
    ScoreErrors errors;
    errors.raw = Raw(stored_roundings);
    errors.masked = errors.raw;
    for (size_t pair = 0; pair < errors.masked.size(); ++pair) {
      errors.masked[pair] = Masked(reference, pair, errors.raw[pair]);
    }
    return errors;
  }

 private:
  // A turned number is made of both numbers of its pair.
  std::vector<double> Operand(const TensorView& view, int64_t head, int64_t row) const {
    std::vector<double> values = AbsoluteRow(view, batch_, head, row);
    if (!problem_.rotary.has_value()) return values;
    const kernels::RotaryEmbedding& rotary = *problem_.rotary;
    const size_t width = rotary.width == 0 ? values.size() : static_cast<size_t>(rotary.width);
    for (size_t k = 0; k < width / 2; ++k) {
      double& x = values[rotary.interleaved ? 2 * k : k];
      double& y = values[rotary.interleaved ? 2 * k + 1 : k + width / 2];
      x = y = x + y;
    }
    return values;
  }

  double Pair(const std::vector<double>& query, const std::vector<double>& key,
              double stored_roundings) const {
    double sum = 0.0;
    double largest = 0.0;
    for (size_t c = 0; c < query.size(); ++c) {
      const double term =
          options_.score == ScoreKind::kAdditive
              ? std::abs(At(problem_.score_vector, 0, 0, 0, static_cast<int64_t>(c))) *
                    (1.0 + query[c] + key[c])
              : query[c] * key[c];
      sum += term;
      largest = std::max(largest, term);
    }
    return problem_.rotary.has_value() ? sum + stored_roundings * largest : sum;
  }

  std::vector<double> Raw(double stored_roundings) const {
    const int64_t key_value_head = head_ / (problem_.query.extents[1] / problem_.key.extents[1]);
    const double width = static_cast<double>(problem_.key.extents[3]);
    const bool dot_product = options_.score == ScoreKind::kDotProduct;
    const double scale =
        std::abs(options_.scale.value_or(dot_product ? 1.0 / std::sqrt(width) : 1.0));
    std::vector<std::vector<double>> keys;
    for (int64_t j = 0; j < problem_.key.extents[2]; ++j) {
      keys.push_back(Operand(problem_.key, key_value_head, j));
      if (options_.score == ScoreKind::kAdditive)
        keys.back() = AbsoluteProduct(keys.back(), problem_.score_second_weight);
    }
    std::vector<double> errors;
    for (int64_t i = 0; i < problem_.query.extents[2]; ++i) {
      std::vector<double> query = Operand(problem_.query, head_, i);
      if (!dot_product) query = AbsoluteProduct(query, problem_.score_first_weight);
      for (const std::vector<double>& key : keys)
        errors.push_back(scale * Pair(query, key, stored_roundings));
    }
    return errors;
  }

  // Of a visible pair; what is hidden has no error.
  double Masked(const ReferenceResult& reference, size_t index, double error) const {
    if (!std::isfinite(reference.masked_scores[first_pair_ + index])) return 0.0;
    const auto key_count = static_cast<size_t>(problem_.key.extents[2]);
    const ReferencePair pair = {batch_, head_, static_cast<int64_t>(index / key_count),
                                static_cast<int64_t>(index % key_count)};
    // The hyperbolic tangent does not steepen errors; it has some roundings of its own.
    constexpr double kTangentRoundings = 4.0;
    if (options_.softcap.has_value())
      error += kTangentRoundings * std::abs(Finite(reference.capped_scores[first_pair_ + index]));
    if (problem_.multiplicative_mask.present())
      error *= std::abs(At(problem_.multiplicative_mask, pair));
    error += std::abs(kernels::ReferenceRelativeBias(problem_, pair));
    if (problem_.additive_mask.present())
      error += std::abs(Finite(At(problem_.additive_mask, pair)));
    if (!problem_.temperatures.empty()) error /= problem_.temperatures[static_cast<size_t>(head_)];
    return error + std::abs(Finite(reference.masked_scores[first_pair_ + index]));
  }

  const AttentionProblem& problem_;
  const AttentionOptions& options_;
  const size_t first_pair_;
  int64_t batch_ = 0;
  int64_t head_ = 0;
};

}  // namespace

double Finite(double value) { return std::isfinite(value) ? value : 0.0; }

std::vector<double> AbsoluteRow(const TensorView& view, int64_t batch, int64_t head, int64_t row) {
  std::vector<double> values;
  for (int64_t i = 0; i < view.extents[3]; ++i)
    values.push_back(std::abs(Finite(At(view, batch, head, row, i))));
  return values;
}

ScoreErrors ComputeScoreErrors(const AttentionProblem& problem, const AttentionOptions& options,
                               const ReferenceResult& reference, size_t first_pair,
                               double stored_roundings) {
  return HeadErrors(problem, options, first_pair).Compute(reference, stored_roundings);
}

}  // namespace attention::test
