#include <algorithm>
#include <initializer_list>

#include "server/core/attention_task.h"

namespace attention::server {
namespace {

using kernels::Extents;

// As a double, which cannot overflow.
double Product(std::initializer_list<int64_t> factors) {
  double product = 1;
  for (const int64_t factor : factors) product *= static_cast<double>(factor);
  return product;
}

double MapFlops(int64_t batch, int64_t row_count, const LinearMap& map) {
  return 2 * Product({batch, row_count, map.input_width, map.output_width});
}

// What kernels::EstimateFlops leaves out: the parameters of the general and the additive score.
double ScoreFlops(const kernels::AttentionProblem& problem, kernels::ScoreKind score) {
  const Extents& query = problem.query.extents;
  const Extents& key = problem.key.extents;
  const double query_rows = Product({query[0], query[1], query[2]});
  const double key_rows = Product({key[0], key[1], key[2]});
  switch (score) {
    case kernels::ScoreKind::kDotProduct:
      return 0;
    case kernels::ScoreKind::kGeneral:
      return 2 * query_rows * Product({query[3], key[3]});
    case kernels::ScoreKind::kAdditive: {
      // Each pair adds two rows, takes a tanh, multiplies and adds, all over the hidden width.
      const auto hidden_width = static_cast<double>(problem.score_vector.extents[3]);
      const double rows = query_rows * Product({query[3]}) + key_rows * Product({key[3]});
      return hidden_width * (2 * rows + 4 * query_rows * Product({key[2]}));
    }
  }
  return 0;
}

// What kernels::EstimateFlops leaves out, too: once a softmax is final, its weights are computed
// from the scores once more where they are asked for, and for every statistic but log-sum-exp.
double SecondPassFlops(const AttentionTask& task, double attention_flops) {
  const Statistics& wanted = task.statistics;
  const bool second_pass = task.return_weights ||
                           task.options.scores != kernels::ScoresOutput::kNone || wanted.entropy ||
                           wanted.maximum_weight || wanted.key_mass || wanted.top_weight_count > 0;
  if (!second_pass || attention_flops == 0) return 0;
  const auto key_width = static_cast<double>(task.query.view.extents[3]);
  const auto value_width = static_cast<double>(task.value.view.extents[3]);
  return attention_flops * key_width / (key_width + value_width);
}

// What kernels::EstimateFlops leaves out of rows that see nothing, where these take the mean of all
// values: the pairs that positions and lengths hide.
double UniformFlops(const AttentionTask& task, const kernels::AttentionProblem& problem,
                    double attention_flops) {
  if (task.options.fully_masked != kernels::FullyMasked::kUniform) return 0;
  const Extents& query = problem.query.extents;
  const Extents& value = problem.value.extents;
  const double visible_flops =
      attention_flops * Product({value[3]}) / Product({query[3] + value[3]});
  const double all_flops = 2 * Product({query[0], query[1], query[2], value[2], value[3]});
  return std::max(0.0, all_flops - visible_flops);
}

// Sequences of a ragged batch may be many and tiny, and what all of them share large: each checks a
// table of biases anew, and widens a score's parameters. Reading a number takes as long as so many
// operations.
double RereadingFlops(const AttentionTask& task) {
  constexpr double kFlopsPerNumber = 32;
  if (!task.ragged.has_value()) return 0;
  const kernels::AttentionProblem& problem = task.problem;
  auto number_count = static_cast<double>(problem.bucketed_bias.table.size());
  for (const kernels::TensorView* parameter :
       {&problem.score_first_weight, &problem.score_second_weight, &problem.score_vector}) {
    const Extents& extents = parameter->extents;
    number_count += Product({extents[0], extents[1], extents[2], extents[3]});
  }
  return kFlopsPerNumber * number_count * static_cast<double>(task.ragged->sequence_count());
}

}  // namespace

double TaskFlops(const AttentionTask& task) {
  double flops = RereadingFlops(task);
  for (int64_t index = 0; index < ProblemCount(task); ++index) {
    const kernels::AttentionProblem problem = ProblemOf(task, index);
    const double attention_flops = kernels::EstimateFlops(problem);
    flops += attention_flops + SecondPassFlops(task, attention_flops) +
             UniformFlops(task, problem, attention_flops) + ScoreFlops(problem, task.options.score);
  }
  for (const HeadsSource* source : {&task.query, &task.key, &task.value}) {
    if (!source->projection.has_value() || IsRepeated(task, *source)) continue;
    flops += MapFlops(source->view.extents[0], source->given_row_count(), *source->projection);
  }
  if (task.output_projection.has_value()) {
    const Extents& extents = task.query.view.extents;
    flops += MapFlops(extents[0], extents[2], *task.output_projection);
  }
  return flops;
}

}  // namespace attention::server
