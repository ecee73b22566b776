#include "kernels/reference/reference_scores.h"

#include <cmath>
#include <limits>

#include "kernels/reference/reference_operands.h"

namespace attention::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

__extension__ typedef __int128 Wide;  // holds every sum of 64-bit numbers
using Vector = std::vector<double>;

double MaskElement(const TensorView& mask, const ReferencePair& pair) {
  return ReferenceElement(mask, pair.batch, pair.head, pair.query, pair.key);
}

bool PositionHides(const AttentionProblem& problem, const ReferencePair& pair) {
  const Wide position = ReferencePosition(problem, pair.batch, pair.query);
  const auto batch = static_cast<size_t>(pair.batch);
  const bool in_prefix =
      !problem.prefix_lengths.empty() && pair.key < problem.prefix_lengths[batch];
  if (problem.causal && pair.key > position && !in_prefix) return true;
  if (problem.left_window.has_value() && pair.key < position - *problem.left_window) return true;
  if (problem.right_window.has_value() && pair.key > position + *problem.right_window) return true;
  return !problem.key_lengths.empty() && pair.key >= problem.key_lengths[batch];
}

bool SegmentHides(const AttentionProblem& problem, const ReferencePair& pair) {
  if (problem.query_segments.empty()) return false;
  const int64_t query = pair.batch * problem.query.extents[2] + pair.query;
  const int64_t key = pair.batch * problem.key.extents[2] + pair.key;
  return problem.query_segments[static_cast<size_t>(query)] !=
         problem.key_segments[static_cast<size_t>(key)];
}

bool BlockHides(const BlockMask& blocks, const ReferencePair& pair) {
  if (!blocks.mask.present()) return false;
  return ReferenceElement(blocks.mask, pair.batch, pair.head, pair.query / blocks.query_block_size,
                          pair.key / blocks.key_block_size) == 0.0;
}

// Raffel et al. (2020), as in mesh-tensorflow's and Hugging Face's relative_position_bucket, with
// the logarithm exact where the distance is on the border of two buckets.
int64_t Bucket(const BucketedBias& bias, Wide distance) {
  int64_t bucket_count = bias.bucket_count;
  int64_t first = 0;
  if (bias.bidirectional) {
    bucket_count /= 2;
    if (distance > 0) first = bucket_count;
    if (distance < 0) distance = -distance;
  } else {
    distance = distance < 0 ? -distance : 0;
  }
  const int64_t exact_count = bucket_count / 2;
  if (distance < exact_count) return first + static_cast<int64_t>(distance);
  const long double exact = static_cast<long double>(exact_count);
  const long double steps = std::log(static_cast<long double>(distance) / exact) /
                            std::log(static_cast<long double>(bias.maximum_distance) / exact) *
                            static_cast<long double>(bucket_count - exact_count);
  const int64_t last = bucket_count - 1;
  if (steps >= static_cast<long double>(bucket_count)) return first + last;
  const long double nearest = std::round(steps);
  const long double whole = std::abs(steps - nearest) < 1e-13L ? nearest : std::floor(steps);
  const int64_t bucket = exact_count + static_cast<int64_t>(whole);
  return first + (bucket < last ? bucket : last);
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
      sum += row[i] * ReferenceElement(matrix, 0, 0, static_cast<int64_t>(i), column);
    product.push_back(sum);
  }
  return product;
}

// The score of every (query, key) pair, times the scale.
Vector RawScores(const AttentionProblem& problem, const AttentionOptions& options,
                 std::vector<Vector> queries, std::vector<Vector> keys) {
  const bool dot_product = options.score == ScoreKind::kDotProduct;
  const double width = static_cast<double>(problem.key.extents[3]);
  const double scale = options.scale.value_or(dot_product ? 1.0 / std::sqrt(width) : 1.0);
  Vector vector;
  if (!dot_product) {
    for (Vector& query : queries) query = Product(query, problem.score_first_weight);
  }
  if (options.score == ScoreKind::kAdditive) {
    for (Vector& key : keys) key = Product(key, problem.score_second_weight);
    vector = ReferenceRow(problem.score_vector, 0, 0, 0);
  }
  Vector scores;
  for (const Vector& query : queries) {
    for (const Vector& key : keys) {
      if (options.score == ScoreKind::kAdditive) {
        Vector hidden;
        for (size_t i = 0; i < query.size(); ++i) hidden.push_back(std::tanh(query[i] + key[i]));
        scores.push_back(scale * Dot(vector, hidden));
      } else {
        scores.push_back(scale * Dot(query, key));
      }
    }
  }
  return scores;
}

// From a capped score to what is normalized, for a visible pair.
double MaskedScore(const AttentionProblem& problem, const ReferencePair& pair, double score) {
  if (problem.multiplicative_mask.present())
    score *= MaskElement(problem.multiplicative_mask, pair);
  score += ReferenceRelativeBias(problem, pair);
  if (problem.additive_mask.present()) score += MaskElement(problem.additive_mask, pair);
  if (!problem.temperatures.empty()) score /= problem.temperatures[static_cast<size_t>(pair.head)];
  return score;
}

}  // namespace

bool ReferenceHides(const AttentionProblem& problem, const ReferencePair& pair) {
  if (PositionHides(problem, pair) || SegmentHides(problem, pair)) return true;
  if (BlockHides(problem.block_mask, pair)) return true;
  if (problem.boolean_mask.present() && MaskElement(problem.boolean_mask, pair) == 0.0) return true;
  return problem.additive_mask.present() && MaskElement(problem.additive_mask, pair) == -kInfinity;
}

double ReferenceRelativeBias(const AttentionProblem& problem, const ReferencePair& pair) {
  const Wide position = ReferencePosition(problem, pair.batch, pair.query);
  const Wide distance = pair.key - position;
  const auto head = static_cast<size_t>(pair.head);
  double bias = 0.0;
  if (!problem.alibi.slopes.empty()) {
    const double slope = problem.alibi.slopes[head];
    const auto signed_distance = static_cast<double>(distance);
    bias += problem.alibi.symmetric ? -slope * std::abs(signed_distance) : slope * signed_distance;
  }
  if (!problem.bucketed_bias.table.empty()) {
    const auto head_count = static_cast<size_t>(problem.query.extents[1]);
    const auto bucket = static_cast<size_t>(Bucket(problem.bucketed_bias, distance));
    bias += problem.bucketed_bias.table[bucket * head_count + head];
  }
  return bias;
}

ReferenceScores ComputeReferenceScores(const AttentionProblem& problem,
                                       const AttentionOptions& options, int64_t batch,
                                       int64_t head) {
  const int64_t key_value_head = head / (problem.query.extents[1] / problem.key.extents[1]);
  std::vector<Vector> queries, keys;
  for (int64_t i = 0; i < problem.query.extents[2]; ++i)
    queries.push_back(ReferenceQuery(problem, batch, head, i));
  for (int64_t j = 0; j < problem.key.extents[2]; ++j)
    keys.push_back(ReferenceKey(problem, batch, key_value_head, j));

  ReferenceScores scores;
  scores.raw = RawScores(problem, options, queries, keys);
  scores.capped = scores.raw;
  if (options.softcap.has_value()) {
    for (double& score : scores.capped)
      score = *options.softcap * std::tanh(score / *options.softcap);
  }
  const double hidden_score = options.normalization == Normalization::kNone ? 0.0 : -kInfinity;
  for (int64_t i = 0; i < problem.query.extents[2]; ++i) {
    for (int64_t j = 0; j < problem.key.extents[2]; ++j) {
      const ReferencePair pair = {batch, head, i, j};
      const double capped = scores.capped[scores.masked.size()];
      scores.hidden.push_back(ReferenceHides(problem, pair));
      scores.masked.push_back(scores.hidden.back() ? hidden_score
                                                   : MaskedScore(problem, pair, capped));
    }
  }
  return scores;
}

}  // namespace attention::kernels
