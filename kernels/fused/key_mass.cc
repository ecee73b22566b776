#include "kernels/fused/key_mass.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>

namespace attention::kernels {
namespace {

constexpr int kValueBits = 62;
constexpr int64_t kNanBit = std::numeric_limits<int64_t>::min();

}  // namespace

void KeyMass::Begin(const AttentionProblem& problem, const AttentionOutputs& outputs) {
  wanted_ = outputs.key_mass.present();
  if (!wanted_) return;
  const Extents& query = problem.query.extents;
  key_count_ = problem.key.extents[2];
  element_count_ = query[0] * query[1] * key_count_;
  // No weight is greater than 1 by more than a few roundings.
  units_ = std::ldexp(1.0, kValueBits - std::bit_width(static_cast<uint64_t>(query[2])));
  sums_.Reserve(static_cast<size_t>(element_count_));
  std::fill_n(sums_.data(), element_count_, 0);
}

void KeyMass::Add(int64_t head_index, int64_t first_key, int64_t count, const double* sums) {
  int64_t* totals = sums_.data() + head_index * key_count_ + first_key;
  for (int64_t i = 0; i < count; ++i) {
    const std::atomic_ref<int64_t> total(totals[i]);
    if (std::isnan(sums[i])) {
      total.fetch_or(kNanBit, std::memory_order_relaxed);
    } else if (sums[i] != 0) {
      total.fetch_add(std::llrint(sums[i] * units_), std::memory_order_relaxed);
    }
  }
}

void KeyMass::Write(const AttentionOutputs& outputs) const {
  if (!wanted_) return;
  auto* mass = static_cast<float*>(outputs.key_mass.data);
  for (int64_t i = 0; i < element_count_; ++i) {
    const int64_t sum = sums_.data()[i];
    mass[i] = sum < 0 ? std::numeric_limits<float>::quiet_NaN()
                      : static_cast<float>(static_cast<double>(sum) / units_);
  }
}

}  // namespace attention::kernels
