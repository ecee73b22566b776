// Memory that is handed over without being copied.

#ifndef ATTENTION_SERVER_CORE_BUFFER_H_
#define ATTENTION_SERVER_CORE_BUFFER_H_

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

namespace attention::server {

// Owns bytes aligned to 64, uninitialized, from malloc's family: `Release` may be undone with std::free.
class Buffer {
 public:
  Buffer() = default;

  // Throws std::bad_alloc like `new`.
  explicit Buffer(size_t byte_count) : byte_count_(byte_count) {
    if (byte_count == 0) return;
    bytes_.reset(std::aligned_alloc(kAlignmentBytes, (byte_count + kAlignmentBytes - 1) & ~(kAlignmentBytes - 1)));
    if (bytes_ == nullptr) throw std::bad_alloc();
  }

  [[nodiscard]] void* data() const { return bytes_.get(); }
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
