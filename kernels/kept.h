// What a thread keeps from one call for its next.

#ifndef ATTENTION_KERNELS_KEPT_H_
#define ATTENTION_KERNELS_KEPT_H_

#include <memory>
#include <utility>

namespace attention::kernels {

// The calling thread's T, taken out while this lives: another call that the thread is given
// meanwhile, between two items of an Executor, makes one of its own. Made at the first use; throws
// std::bad_alloc.
template <class T>
class Kept {
 public:
  Kept() : value_(std::move(of_thread_)) {
    if (value_ == nullptr) value_ = std::make_unique<T>();
  }
  ~Kept() { of_thread_ = std::move(value_); }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  [[nodiscard]] T& operator*() const { return *value_; }
  [[nodiscard]] T* operator->() const { return value_.get(); }

 private:
  static inline thread_local std::unique_ptr<T> of_thread_;

  std::unique_ptr<T> value_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_KEPT_H_
