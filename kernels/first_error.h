// Collects a status from several threads.

#ifndef ATTENTION_KERNELS_FIRST_ERROR_H_
#define ATTENTION_KERNELS_FIRST_ERROR_H_

#include <mutex>

#include "absl/status/status.h"

namespace attention::kernels {

// Keeps the first error that any thread reports. Thread safety: all methods may be called from any
// thread.
class FirstError {
 public:
  void Update(const absl::Status& status) {
    if (status.ok()) return;
    const std::lock_guard lock(mutex_);
    status_.Update(status);
  }

  [[nodiscard]] absl::Status Get() const {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  mutable std::mutex mutex_;
  absl::Status status_;  // guarded by mutex_
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FIRST_ERROR_H_
