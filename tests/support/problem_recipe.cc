#include "tests/support/problem_recipe.h"

namespace attention::test {
namespace {

void PrintMask(std::ostream& stream, const char* name, const std::optional<MaskRecipe>& mask) {
  if (!mask.has_value()) return;
  stream << " " << name << "=" << kernels::Name(mask->type) << "[";
  for (const bool broadcast : mask->broadcast) stream << (broadcast ? "1" : "n");
  stream << "] hiding " << mask->hidden_share;
}

void PrintPositions(std::ostream& stream, const ProblemRecipe& recipe) {
  if (recipe.causal_offset.has_value()) stream << " causal_offset=" << *recipe.causal_offset;
  if (recipe.query_offset != 0) stream << " query_offset=" << recipe.query_offset;
  if (recipe.query_offsets) stream << " query_offsets";
  if (recipe.prefix_lengths) stream << " prefix_lengths";
  if (recipe.left_window.has_value()) stream << " left_window=" << *recipe.left_window;
  if (recipe.right_window.has_value()) stream << " right_window=" << *recipe.right_window;
  if (recipe.key_lengths) stream << " key_lengths";
}

void PrintBlocksAndSegments(std::ostream& stream, const ProblemRecipe& recipe) {
  if (recipe.segments.has_value()) {
    stream << " segments=" << recipe.segments->count
           << (recipe.segments->contiguous ? " contiguous" : " scattered");
  }
  if (!recipe.block_mask.has_value()) return;
  stream << " block_mask=" << recipe.block_mask->query_block_size << "x"
         << recipe.block_mask->key_block_size << "[";
  for (const bool broadcast : recipe.block_mask->broadcast) stream << (broadcast ? "1" : "n");
  stream << "] hiding " << recipe.block_mask->hidden_share;
}

void PrintScoreChanges(std::ostream& stream, const ProblemRecipe& recipe) {
  if (recipe.options.softcap.has_value()) stream << " softcap=" << *recipe.options.softcap;
  if (recipe.sinks) stream << " sinks";
  if (recipe.temperatures) stream << " temperatures";
  if (recipe.head_factors) stream << " head_factors";
  if (recipe.alibi) stream << (recipe.symmetric_alibi ? " symmetric alibi" : " alibi");
  if (const auto& bias = recipe.bucketed_bias; bias.has_value()) {
    stream << " bucketed_bias=" << bias->bucket_count << "/" << bias->maximum_distance
           << (bias->bidirectional ? " bidirectional" : "");
  }
  if (const auto& rotary = recipe.rotary; rotary.has_value()) {
    stream << " rotary=" << rotary->width << " base " << rotary->base << " position_scale "
           << rotary->position_scale << (rotary->interleaved ? " interleaved" : "");
  }
}

void PrintStatistics(std::ostream& stream, const StatisticsRecipe& statistics) {
  if (statistics.log_sum_exp) stream << " log_sum_exp";
  if (statistics.entropy) stream << " entropy";
  if (statistics.maximum_weight) stream << " maximum_weight";
  if (statistics.key_mass) stream << " key_mass";
  if (statistics.top_count > 0) stream << " top_weights=" << statistics.top_count;
}

}  // namespace

std::ostream& operator<<(std::ostream& stream, const ProblemRecipe& recipe) {
  stream << "seed=" << recipe.seed << " type=" << kernels::Name(recipe.type)
         << " batch=" << recipe.batch << " heads=" << recipe.query_head_count << "/"
         << recipe.key_value_head_count << " queries=" << recipe.query_count
         << " keys=" << recipe.key_count << " widths=" << recipe.key_width << "/"
         << recipe.value_width << " hidden_width=" << recipe.hidden_width
         << " layout=" << static_cast<int>(recipe.layout)
         << " score=" << static_cast<int>(recipe.options.score)
         << " normalization=" << static_cast<int>(recipe.options.normalization)
         << " precision=" << static_cast<int>(recipe.options.precision)
         << " scores=" << static_cast<int>(recipe.options.scores) << " weights=" << recipe.weights
         << " fully_masked=" << static_cast<int>(recipe.options.fully_masked)
         << " magnitude=" << recipe.magnitude;
  if (recipe.options.float64) stream << " float64";
  if (recipe.options.scale.has_value()) stream << " scale=" << *recipe.options.scale;
  PrintPositions(stream, recipe);
  PrintBlocksAndSegments(stream, recipe);
  PrintScoreChanges(stream, recipe);
  PrintStatistics(stream, recipe.statistics);
  PrintMask(stream, "boolean_mask", recipe.boolean_mask);
  PrintMask(stream, "additive_mask", recipe.additive_mask);
  PrintMask(stream, "multiplicative_mask", recipe.multiplicative_mask);
  return stream;
}

}  // namespace attention::test
