// Pairwise sampling: few combinations of many factors, such that any two values of any two factors
// meet.

#ifndef ATTENTION_TESTS_SUPPORT_PAIRWISE_H_
#define ATTENTION_TESTS_SUPPORT_PAIRWISE_H_

#include <cstdint>
#include <functional>
#include <vector>

namespace attention::test {

// One value index for each factor.
using Combination = std::vector<int>;

// Combinations of factors with these many values each. Those that `allowed` refuses are not made,
// and pairs that no allowed combination was found for, in many random tries, are left out. The same
// for the same arguments.
[[nodiscard]] std::vector<Combination> PairwiseCombinations(
    const std::vector<int>& value_counts, const std::function<bool(const Combination&)>& allowed,
    uint64_t seed);

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_PAIRWISE_H_
