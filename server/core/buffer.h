// Memory that is handed over without being copied.

#ifndef ATTENTION_SERVER_CORE_BUFFER_H_
#define ATTENTION_SERVER_CORE_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

namespace attention::server {

// Owns bytes aligned to 64, uninitialized, from malloc's family: `Release` may be undone with
// std::free. Thread safety: as any value's.
class Buffer {
 public:
  Buffer() = default;

  // Throws std::bad_alloc like `new`.
  explicit Buffer(size_t byte_count) : byte_count_(byte_count) {
    if (byte_count == 0) return;
    if (byte_count > SIZE_MAX - kAlignmentBytes)
      throw std::bad_alloc();  // would wrap when rounded up
    const size_t rounded = (byte_count + kAlignmentBytes - 1) & ~(kAlignmentBytes - 1);
    bytes_.reset(std::aligned_alloc(kAlignmentBytes, rounded));
    if (bytes_ == nullptr) throw std::bad_alloc();
  }

  // What is moved from is empty.
  Buffer(Buffer&& other) noexcept
      : bytes_(std::move(other.bytes_)), byte_count_(std::exchange(other.byte_count_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    bytes_ = std::move(other.bytes_);
    byte_count_ = std::exchange(other.byte_count_, 0);
    return *this;
  }

  [[nodiscard]] void* data() const { return bytes_.get(); }  // null if empty
  [[nodiscard]] size_t byte_count() const { return byte_count_; }
  [[nodiscard]] void* Release() {
    byte_count_ = 0;
    return bytes_.release();
  }

 private:
  struct Free {
    void operator()(void* bytes) const { std::free(bytes); }
  };
  static constexpr size_t kAlignmentBytes = 64;
  std::unique_ptr<void, Free> bytes_;
  size_t byte_count_ = 0;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_BUFFER_H_
