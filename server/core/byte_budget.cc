#include "server/core/byte_budget.h"

namespace attention::server {

ByteBudget::Permit ByteBudget::TryAcquire(int64_t bytes) {
  if (bytes < 0) return {};
  int64_t used_bytes = used_bytes_.load(std::memory_order_relaxed);
  do {
    if (bytes > capacity_bytes_ - used_bytes)
      return {};  // the sum could overflow, the difference cannot
  } while (!used_bytes_.compare_exchange_weak(used_bytes, used_bytes + bytes,
                                              std::memory_order_relaxed));
  return {this, bytes};
}

}  // namespace attention::server
