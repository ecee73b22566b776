// Biases that depend on the head and on the distance j - p alone, built once for a call: a row of
// scores then adds a slice of them, whatever they are made of.

#ifndef ATTENTION_KERNELS_FUSED_RELATIVE_BIAS_TABLE_H_
#define ATTENTION_KERNELS_FUSED_RELATIVE_BIAS_TABLE_H_

#include <cstdint>
#include <vector>

#include "kernels/attend.h"

namespace attention::kernels {

// The sum of ALiBi and bucketed bias in f32, rounded from f64. Batch entries whose queries are at
// nearby positions share one stretch of distances; whatever the offsets are, there are never more
// than [batch, query heads, queries + keys] numbers. Immutable after Begin; then any threads.
class RelativeBiasTable {
 public:
  // Builds it; its memory serves the next call. Throws std::bad_alloc.
  void Begin(const AttentionProblem& problem);

  [[nodiscard]] bool present() const { return present_; }

  // Element i is the bias of key `first_key` + i for a query of a head. kReadableAfterwards
  // elements beyond the last key may be read, whatever they are.
  [[nodiscard]] const float* Row(int64_t batch, int64_t head, int64_t query,
                                 int64_t first_key) const {
    return biases_.data() + head * head_stride_ + bases_[static_cast<size_t>(batch)] + first_key -
           query;
  }

  static constexpr int64_t kReadableAfterwards = 32;

  // Bytes that there is room for.
  [[nodiscard]] size_t room_bytes() const {
    return biases_.capacity() * sizeof(float) + buckets_.capacity() * sizeof(int64_t);
  }

  // Bytes that Begin needs at most.
  [[nodiscard]] static double MaxBytes(const AttentionProblem& problem);

 private:
  // Distances of consecutive keys, element i being i - last_query - offset.
  struct Stretch {
    int64_t first = 0;  // element
    int64_t count = 0;
    int64_t offset = 0;  // the greatest of its batch entries
  };

  void FindStretches(const AttentionProblem& problem);
  void Fill(const AttentionProblem& problem, const Stretch& stretch);

  bool present_ = false;
  int64_t head_stride_ = 0;
  std::vector<int64_t> bases_;  // of each batch entry: the element of distance 0 - offset
  std::vector<int64_t> order_;  // batch entries, the greatest offset first
  std::vector<Stretch> stretches_;
  std::vector<int64_t> buckets_;
  std::vector<float> biases_;  // [query heads, head stride]
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_RELATIVE_BIAS_TABLE_H_
