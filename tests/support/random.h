// Random numbers that are the same on every machine and with every standard library.

#ifndef ATTENTION_TESTS_SUPPORT_RANDOM_H_
#define ATTENTION_TESTS_SUPPORT_RANDOM_H_

#include <cmath>
#include <cstdint>

namespace attention::test {

// SplitMix64 (Steele, Lea and Flood, 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

  // In [0, 1).
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

  // In [0, count).
  int64_t Index(int64_t count) {
    return static_cast<int64_t>(Next() % static_cast<uint64_t>(count));
  }

  // Of mean 0 and variance 1.
  double Normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - Uniform()));
    return radius * std::cos(6.283185307179586 * Uniform());
  }

 private:
  uint64_t state_;
};

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_RANDOM_H_
