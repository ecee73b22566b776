// Uninitialized memory aligned to a cache line.

#ifndef ATTENTION_KERNELS_ALIGNED_ARRAY_H_
#define ATTENTION_KERNELS_ALIGNED_ARRAY_H_

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace attention::kernels {

// Throws std::bad_alloc. T must need neither construction nor destruction.
template <class T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(size_t count) { Reserve(count); }

  // Makes room for `count` elements; what they hold is lost if that means growing.
  void Reserve(size_t count) {
    if (count <= count_) return;
    elements_.reset();
    count_ = 0;
    const size_t bytes =
        (count * sizeof(T) + kAlignmentBytes - 1) / kAlignmentBytes * kAlignmentBytes;
    elements_.reset(static_cast<T*>(std::aligned_alloc(kAlignmentBytes, bytes)));
    if (elements_ == nullptr) throw std::bad_alloc();
    count_ = count;
  }

  [[nodiscard]] T* data() const { return elements_.get(); }
  [[nodiscard]] size_t size() const { return count_; }
  [[nodiscard]] size_t room_bytes() const { return count_ * sizeof(T); }

  // Gives memory back if there is more than `byte_count` of it.
  void ReleaseAbove(size_t byte_count) {
    if (room_bytes() > byte_count) *this = AlignedArray();
  }

 private:
  struct Free {
    void operator()(T* elements) const { std::free(elements); }
  };
  static constexpr size_t kAlignmentBytes = 64;
  std::unique_ptr<T, Free> elements_;
  size_t count_ = 0;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ALIGNED_ARRAY_H_
