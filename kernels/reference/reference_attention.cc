#include "kernels/reference/reference_attention.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace attention::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The value of a binary format with `exponent_bits` and `mantissa_bits`, straight from its
// definition (IEEE 754 section 3.4).
double Decode(uint16_t bits, int exponent_bits, int mantissa_bits) {
  const int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = (bits >> 15) != 0 ? -1.0 : 1.0;
  const double fraction = std::ldexp(mantissa, -mantissa_bits);
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa == 0 ? sign * kInfinity : std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias);
  return sign * std::ldexp(1.0 + fraction, exponent - bias);
}

template <typename T>
T Bits(const std::byte* address) {
  T value;
  std::memcpy(&value, address, sizeof(value));
  return value;
}

// Element (batch, head, row, column) as a double.
double At(const TensorView& view, int64_t batch, int64_t head, int64_t row, int64_t column) {
  const std::byte* address =
      RowAddress(view, batch, head, row) +
      column * view.strides[3] * static_cast<int64_t>(ElementBytes(view.type));
  switch (view.type) {
    case DataType::kF32:
      return static_cast<double>(Bits<float>(address));
    case DataType::kF16:
      return Decode(Bits<uint16_t>(address), 5, 10);
    case DataType::kBF16:
      return Decode(Bits<uint16_t>(address), 8, 7);
    case DataType::kF64:
      return Bits<double>(address);
    case DataType::kBool:
      return Bits<uint8_t>(address) == 0 ? 0.0 : 1.0;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

using Vector = std::vector<double>;

Vector Row(const TensorView& view, int64_t batch, int64_t head, int64_t row) {
  Vector values;
  for (int64_t column = 0; column < view.extents[3]; ++column)
    values.push_back(At(view, batch, head, row, column));
  return values;
}

double Dot(const Vector& a, const Vector& b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// row * matrix.
Vector Product(const Vector& row, const TensorView& matrix) {
  Vector product;
  for (int64_t column = 0; column < matrix.extents[3]; ++column) {
    double sum = 0.0;
    for (size_t i = 0; i < row.size(); ++i)
      sum += row[i] * At(matrix, 0, 0, static_cast<int64_t>(i), column);
    product.push_back(sum);
  }
  return product;
}

// The score of every (query, key) pair, times the scale.
std::vector<Vector> RawScores(const AttentionProblem& problem, const AttentionOptions& options,
                              const std::vector<Vector>& queries, const std::vector<Vector>& keys) {
  const double default_scale = options.score == ScoreKind::kDotProduct
                                   ? 1.0 / std::sqrt(static_cast<double>(problem.key.extents[3]))
                                   : 1.0;
  const double scale = options.scale.value_or(default_scale);
  std::vector<Vector> mapped_queries = queries;
  std::vector<Vector> mapped_keys = keys;
  if (options.score != ScoreKind::kDotProduct) {
    for (Vector& query : mapped_queries) query = Product(query, problem.score_first_weight);
  }
  if (options.score == ScoreKind::kAdditive) {
    for (Vector& key : mapped_keys) key = Product(key, problem.score_second_weight);
  }
  std::vector<Vector> scores;
  for (const Vector& query : mapped_queries) {
    Vector row;
    for (const Vector& key : mapped_keys) {
      if (options.score == ScoreKind::kAdditive) {
        Vector hidden;
        for (size_t i = 0; i < query.size(); ++i) hidden.push_back(std::tanh(query[i] + key[i]));
        row.push_back(scale * Dot(Row(problem.score_vector, 0, 0, 0), hidden));
      } else {
        row.push_back(scale * Dot(query, key));
      }
    }
    scores.push_back(row);
  }
  return scores;
}

bool IsHidden(const AttentionProblem& problem, int64_t batch, int64_t head, int64_t query,
              int64_t key) {
  // key - query cannot overflow, query + offset can.
  if (problem.causal && key - query > problem.query_offset) return true;
  if (!problem.key_lengths.empty() && key >= problem.key_lengths[static_cast<size_t>(batch)])
    return true;
  if (problem.boolean_mask.present() && At(problem.boolean_mask, batch, head, query, key) == 0.0)
    return true;
  return problem.additive_mask.present() &&
         At(problem.additive_mask, batch, head, query, key) == -kInfinity;
}

// Two passes over a row or a column of scores: its largest visible one, then the exponentials.
// Zeros where hidden. Entry `i` is scores[first + i * step].
void Softmax(const std::vector<bool>& hidden, size_t first, size_t step, size_t count,
             Vector& scores) {
  double maximum = -kInfinity;
  for (size_t i = 0; i < count; ++i) {
    const size_t at = first + i * step;
    if (!hidden[at] && scores[at] > maximum) maximum = scores[at];
  }
  double sum = 0.0;
  for (size_t i = 0; i < count; ++i) {
    const size_t at = first + i * step;
    scores[at] = hidden[at] ? 0.0 : std::exp(scores[at] - maximum);
    sum += scores[at];
  }
  for (size_t i = 0; i < count; ++i) {
    const size_t at = first + i * step;
    if (!hidden[at]) scores[at] /= sum;
  }
}

// Scores of one head, [queries, keys], with the masks applied.
struct MaskedScores {
  Vector scores;  // 0 where hidden
  std::vector<bool> hidden;
};

MaskedScores ApplyMasks(const AttentionProblem& problem, const std::vector<Vector>& raw,
                        int64_t batch, int64_t head) {
  MaskedScores result;
  for (int64_t i = 0; i < problem.query.extents[2]; ++i) {
    for (int64_t j = 0; j < problem.key.extents[2]; ++j) {
      double score = raw[static_cast<size_t>(i)][static_cast<size_t>(j)];
      if (problem.multiplicative_mask.present())
        score *= At(problem.multiplicative_mask, batch, head, i, j);
      if (problem.additive_mask.present()) score += At(problem.additive_mask, batch, head, i, j);
      const bool hidden = IsHidden(problem, batch, head, i, j);
      result.scores.push_back(hidden ? 0.0 : score);
      result.hidden.push_back(hidden);
    }
  }
  return result;
}

void AppendHead(const AttentionProblem& problem, const AttentionOptions& options, int64_t batch,
                int64_t head, ReferenceResult& result) {
  const int64_t key_value_head = head / (problem.query.extents[1] / problem.key.extents[1]);
  const auto query_count = static_cast<size_t>(problem.query.extents[2]);
  const auto key_count = static_cast<size_t>(problem.key.extents[2]);
  std::vector<Vector> queries, keys, values;
  for (size_t i = 0; i < query_count; ++i)
    queries.push_back(Row(problem.query, batch, head, static_cast<int64_t>(i)));
  for (size_t j = 0; j < key_count; ++j) {
    keys.push_back(Row(problem.key, batch, key_value_head, static_cast<int64_t>(j)));
    values.push_back(Row(problem.value, batch, key_value_head, static_cast<int64_t>(j)));
  }

  const std::vector<Vector> raw = RawScores(problem, options, queries, keys);
  MaskedScores masked = ApplyMasks(problem, raw, batch, head);
  const double hidden_score = options.normalization == Normalization::kNone ? 0.0 : -kInfinity;
  for (size_t i = 0; i < query_count; ++i) {
    for (size_t j = 0; j < key_count; ++j) {
      const size_t at = i * key_count + j;
      result.raw_scores.push_back(raw[i][j]);
      result.masked_scores.push_back(masked.hidden[at] ? hidden_score : masked.scores[at]);
    }
  }

  Vector& weights = masked.scores;
  if (options.normalization == Normalization::kSoftmaxOverKeys) {
    for (size_t i = 0; i < query_count; ++i)
      Softmax(masked.hidden, i * key_count, 1, key_count, weights);
  } else if (options.normalization == Normalization::kSoftmaxOverQueries) {
    for (size_t j = 0; j < key_count; ++j)
      Softmax(masked.hidden, j, key_count, query_count, weights);
  }
  result.weights.insert(result.weights.end(), weights.begin(), weights.end());

  for (size_t i = 0; i < query_count; ++i) {
    for (size_t d = 0; d < static_cast<size_t>(problem.value.extents[3]); ++d) {
      double sum = 0.0;
      for (size_t j = 0; j < key_count; ++j) {
        if (!masked.hidden[i * key_count + j]) sum += weights[i * key_count + j] * values[j][d];
      }
      result.output.push_back(sum);
    }
  }
}

}  // namespace

ReferenceResult ReferenceAttention(const AttentionProblem& problem,
                                   const AttentionOptions& options) {
  ReferenceResult result;
  for (int64_t batch = 0; batch < problem.query.extents[0]; ++batch) {
    for (int64_t head = 0; head < problem.query.extents[1]; ++head) {
      AppendHead(problem, options, batch, head, result);
    }
  }
  return result;
}

}  // namespace attention::kernels
