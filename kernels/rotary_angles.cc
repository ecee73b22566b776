#include "kernels/rotary_angles.h"

#include <cmath>
#include <numbers>

#include "kernels/visibility.h"

namespace attention::kernels {

void RotaryAngles::Begin(const RotaryEmbedding& rotary, int64_t width) {
  const int64_t pair_count = width / 2;
  const bool same = pair_count == pair_count_ && rotary.base == rotary_.base &&
                    rotary.position_scale == rotary_.position_scale;
  if (same) return;
  pair_count_ = 0;  // should there be no memory
  rates_.Reserve(static_cast<size_t>(2 * pair_count));
  steps_.Reserve(static_cast<size_t>(kSteps * 2 * pair_count));
  pair_count_ = pair_count;
  rotary_ = rotary;
  SetRates(rotary);
  for (int64_t step = 0; step < kSteps; ++step) TurnsOf(step, rates(), StepTurns(step));
}

void RotaryAngles::ReleaseAbove(size_t byte_count) {
  if (rates_.room_bytes() + steps_.room_bytes() > byte_count) *this = RotaryAngles();
}

void RotaryAngles::SetRates(const RotaryEmbedding& rotary) {
  const auto width = static_cast<long double>(2 * pair_count_);
  double* const high = rates_.data();
  double* const low = high + pair_count_;
  for (int64_t k = 0; k < pair_count_; ++k) {
    const long double exponent = -2.0L * static_cast<long double>(k) / width;
    const long double radians = static_cast<long double>(rotary.position_scale) *
                                std::pow(static_cast<long double>(rotary.base), exponent);
    const long double turns = radians / (2.0L * std::numbers::pi_v<long double>);
    int binary_exponent = 0;
    const long double mantissa = std::frexp(turns, &binary_exponent);
    const long double kept = std::nearbyint(std::ldexp(mantissa, kExactRateBits));
    high[k] = static_cast<double>(std::ldexp(kept, binary_exponent - kExactRateBits));
    low[k] = static_cast<double>(turns - static_cast<long double>(high[k]));
  }
}

TurnRates RotaryAngles::rates() const {
  return {.high = rates_.data(), .low = rates_.data() + pair_count_, .pair_count = pair_count_};
}

PairTurns<double> RotaryAngles::StepTurns(int64_t step) const {
  double* const cosines = steps_.data() + step * 2 * pair_count_;
  return {.cosines = cosines, .sines = cosines + pair_count_};
}

void RotaryAngles::Fill(int64_t first, int64_t count, const PairTurns<float>& turns,
                        AlignedArray<double>& scratch) const {
  scratch.Reserve(static_cast<size_t>(2 * pair_count_));
  const PairTurns<double> base = {scratch.data(), scratch.data() + pair_count_};
  for (int64_t i = 0; i < count; ++i) {
    const int64_t position = SaturatingAdd(first, i);
    const int64_t step = position & (kSteps - 1);  // also of negative ones: from 0 on
    if (i == 0 || step == 0) TurnsOf(position - step, rates(), base);
    const PairTurns<double> steps = StepTurns(step);
    AddTurns({base.cosines, base.sines}, {steps.cosines, steps.sines}, pair_count_,
             {turns.cosines + i * pair_count_, turns.sines + i * pair_count_});
  }
}

void RotaryAngles::Fill(int64_t first, int64_t count, const PairTurns<double>& turns,
                        AlignedArray<double>&) const {
  for (int64_t i = 0; i < count; ++i) {
    TurnsOf(SaturatingAdd(first, i), rates(),
            {turns.cosines + i * pair_count_, turns.sines + i * pair_count_});
  }
}

}  // namespace attention::kernels
