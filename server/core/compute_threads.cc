#include "server/core/compute_threads.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <thread>
#include <vector>

#include "server/core/cgroup_cpu_quota.h"

namespace attention::server {

int AffinityCpuCount() {
  // A cpu_set_t holds 1024 processors; the kernel refuses a mask shorter than its own with EINVAL.
  for (size_t set_count = 1; set_count <= 64; set_count *= 2) {
    std::vector<cpu_set_t> mask(set_count);
    const size_t mask_bytes = set_count * sizeof(cpu_set_t);
    if (sched_getaffinity(0, mask_bytes, mask.data()) == 0) {
      return std::max(1, CPU_COUNT_S(mask_bytes, mask.data()));
    }
    if (errno != EINVAL) break;
  }
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int ComputeThreadCount(int affinity_cpu_count, std::optional<double> quota_cpus,
                       std::optional<int> requested_count) {
  int count = affinity_cpu_count;
  if (quota_cpus.has_value() && *quota_cpus < count)
    count = static_cast<int>(std::floor(*quota_cpus));
  if (requested_count.has_value()) count = std::min(count, *requested_count);
  return std::max(1, count);
}

int ComputeThreadCount(std::optional<int> requested_count) {
  return ComputeThreadCount(AffinityCpuCount(), CgroupCpuQuota(), requested_count);
}

}  // namespace attention::server
