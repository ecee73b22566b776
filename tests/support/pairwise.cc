#include "tests/support/pairwise.h"

#include <array>
#include <set>

#include "tests/support/random.h"

namespace attention::test {
namespace {

using Pair = std::array<int, 4>;  // factor and value, factor and value

constexpr int kCandidatesPerCombination = 24;
constexpr int kTriesPerCandidate = 40;

std::set<Pair> AllPairs(const std::vector<int>& value_counts) {
  std::set<Pair> pairs;
  const int factor_count = static_cast<int>(value_counts.size());
  for (int first = 0; first < factor_count; ++first) {
    for (int second = first + 1; second < factor_count; ++second) {
      for (int a = 0; a < value_counts[first]; ++a) {
        for (int b = 0; b < value_counts[second]; ++b) pairs.insert({first, a, second, b});
      }
    }
  }
  return pairs;
}

// Calls visit(pair) for every pair of values in the combination.
template <typename Visit>
void ForEachPair(const Combination& combination, Visit visit) {
  const int factor_count = static_cast<int>(combination.size());
  for (int first = 0; first < factor_count; ++first) {
    for (int second = first + 1; second < factor_count; ++second) {
      visit(Pair{first, combination[first], second, combination[second]});
    }
  }
}

Combination RandomWith(const Pair& pair, const std::vector<int>& value_counts, Random& random) {
  Combination combination;
  for (const int count : value_counts) combination.push_back(static_cast<int>(random.Index(count)));
  combination[pair[0]] = pair[1];
  combination[pair[2]] = pair[3];
  return combination;
}

}  // namespace

std::vector<Combination> PairwiseCombinations(
    const std::vector<int>& value_counts, const std::function<bool(const Combination&)>& allowed,
    uint64_t seed) {
  Random random(seed);
  std::set<Pair> open = AllPairs(value_counts);
  std::vector<Combination> combinations;
  while (!open.empty()) {
    const Pair wanted = *open.begin();
    Combination best;
    int best_gain = 0;
    for (int candidate = 0; candidate < kCandidatesPerCombination; ++candidate) {
      Combination combination = RandomWith(wanted, value_counts, random);
      for (int tries = 1; !allowed(combination) && tries < kTriesPerCandidate; ++tries) {
        combination = RandomWith(wanted, value_counts, random);
      }
      if (!allowed(combination)) continue;
      int gain = 0;
      ForEachPair(combination, [&](const Pair& pair) { gain += open.contains(pair) ? 1 : 0; });
      if (gain > best_gain) {
        best_gain = gain;
        best = combination;
      }
    }
    open.erase(wanted);
    if (best_gain == 0) continue;
    ForEachPair(best, [&](const Pair& pair) { open.erase(pair); });
    combinations.push_back(best);
  }
  return combinations;
}

}  // namespace attention::test
