// What all queries together give to each key, summed by any threads in any order to the same bits.

#ifndef ATTENTION_KERNELS_FUSED_KEY_MASS_H_
#define ATTENTION_KERNELS_FUSED_KEY_MASS_H_

#include <cstdint>

#include "kernels/aligned_array.h"
#include "kernels/attend.h"

namespace attention::kernels {

// Sums are integers, whose sum does not depend on the order: multiples of a unit, such that all
// queries together fit into 62 bits. 1024 queries leave 2^-51 as the unit. A NaN is a bit of its
// own, which no sum reaches.
class KeyMass {
 public:
  // Makes room if the outputs ask for it. Throws std::bad_alloc.
  void Begin(const AttentionProblem& problem, const AttentionOutputs& outputs);

  [[nodiscard]] bool wanted() const { return wanted_; }

  // Adds sums[i] to key `first_key` + i of a head. Any threads.
  void Add(int64_t head_index, int64_t first_key, int64_t count, const double* sums);

  // Writes the outputs, if they were asked for. After all of Add.
  void Write(const AttentionOutputs& outputs) const;

  // Bytes that there is room for.
  [[nodiscard]] size_t room_bytes() const { return sums_.room_bytes(); }

 private:
  bool wanted_ = false;
  int64_t key_count_ = 0;
  int64_t element_count_ = 0;
  double units_ = 1;            // per 1.0 of mass
  AlignedArray<int64_t> sums_;  // [batch * query heads, keys]
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_KEY_MASS_H_
