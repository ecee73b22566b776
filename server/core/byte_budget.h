// A budget of bytes that requests in flight share.

#ifndef ATTENTION_SERVER_CORE_BYTE_BUDGET_H_
#define ATTENTION_SERVER_CORE_BYTE_BUDGET_H_

#include <atomic>
#include <cstdint>
#include <utility>

namespace attention::server {

// Thread safety: all methods may be called from any thread. Must outlive its permits.
class ByteBudget {
 public:
  explicit ByteBudget(int64_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

  // Returns its bytes to the budget when destroyed. Empty (false) if refused.
  class Permit {
   public:
    Permit() = default;
    Permit(Permit&& other) noexcept { *this = std::move(other); }
    Permit& operator=(Permit&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Permit() {
      if (budget_ != nullptr) budget_->used_bytes_.fetch_sub(bytes_, std::memory_order_relaxed);
    }
    explicit operator bool() const { return budget_ != nullptr; }
    [[nodiscard]] int64_t bytes() const { return bytes_; }  // 0 if empty

   private:
    friend class ByteBudget;
    Permit(ByteBudget* budget, int64_t bytes) : budget_(budget), bytes_(bytes) {}
    ByteBudget* budget_ = nullptr;
    int64_t bytes_ = 0;
  };

  // Takes `bytes` >= 0 if they fit. A request larger than the whole budget is never admitted.
  [[nodiscard]] Permit TryAcquire(int64_t bytes);

  [[nodiscard]] int64_t used_bytes() const { return used_bytes_.load(std::memory_order_relaxed); }
  [[nodiscard]] int64_t capacity_bytes() const { return capacity_bytes_; }

 private:
  const int64_t capacity_bytes_;
  std::atomic<int64_t> used_bytes_ = 0;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_BYTE_BUDGET_H_
