// The score of a query against a key in float64, split so that what depends on the query alone, or
// on the key alone, is computed once:
//
//   dot product   scale * q . k                     prepared query q        prepared key k
//   general       scale * (q W) . k                 prepared query q W      prepared key k
//   additive      scale * v . tanh(q W + k U)       prepared query q W      prepared key k U

#ifndef ATTENTION_KERNELS_UNFUSED_SCORE_FUNCTION_H_
#define ATTENTION_KERNELS_UNFUSED_SCORE_FUNCTION_H_

#include <cstdint>
#include <vector>

#include "kernels/attend.h"

namespace attention::kernels {

// Holds the parameters of the score in float64. Reads the problem's tensors, which must outlive it.
// Thread safety: immutable.
class ScoreFunction {
 public:
  ScoreFunction(const AttentionProblem& problem, const AttentionOptions& options);

  // Doubles in a prepared query or key.
  [[nodiscard]] int64_t prepared_width() const { return prepared_width_; }

  // Write prepared_width() doubles. `scratch` is resized as needed.
  void PrepareQuery(int64_t batch, int64_t head, int64_t query, std::vector<double>& scratch,
                    double* prepared) const;
  void PrepareKey(int64_t batch, int64_t key_value_head, int64_t key, std::vector<double>& scratch,
                  double* prepared) const;

  [[nodiscard]] double Score(const double* prepared_query, const double* prepared_key) const;

 private:
  const AttentionProblem& problem_;
  const ScoreKind kind_;
  const double scale_;
  const int64_t prepared_width_;
  const std::vector<double> first_weight_;
  const std::vector<double> second_weight_;
  const std::vector<double> vector_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_UNFUSED_SCORE_FUNCTION_H_
