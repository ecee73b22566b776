#include "tests/support/problem_recipe.h"

namespace attention::test {
namespace {

void PrintMask(std::ostream& stream, const char* name, const std::optional<MaskRecipe>& mask) {
  if (!mask.has_value()) return;
  stream << " " << name << "=" << kernels::Name(mask->type) << "[";
  for (const bool broadcast : mask->broadcast) stream << (broadcast ? "1" : "n");
  stream << "] hiding " << mask->hidden_share;
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
         << " magnitude=" << recipe.magnitude;
  if (recipe.options.scale.has_value()) stream << " scale=" << *recipe.options.scale;
  if (recipe.causal_offset.has_value()) stream << " causal_offset=" << *recipe.causal_offset;
  if (recipe.key_lengths) stream << " key_lengths";
  PrintMask(stream, "boolean_mask", recipe.boolean_mask);
  PrintMask(stream, "additive_mask", recipe.additive_mask);
  PrintMask(stream, "multiplicative_mask", recipe.multiplicative_mask);
  return stream;
}

}  // namespace attention::test
