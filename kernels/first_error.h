// Collects a status from several threads.

#ifndef ATTENTION_KERNELS_FIRST_ERROR_H_
#define ATTENTION_KERNELS_FIRST_ERROR_H_

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace attention::kernels {

// Keeps the first error that any thread reports. Thread safety: all methods may be called from any
// thread.
class FirstError {
 public:
  void Update(const absl::Status& status) {
    if (status.ok()) return;
    absl::MutexLock lock(&mutex_);
    status_.Update(status);
  }

  [[nodiscard]] absl::Status Get() const {
    absl::MutexLock lock(&mutex_);
    return status_;
  }

 private:
  mutable absl::Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FIRST_ERROR_H_
