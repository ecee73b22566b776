// How many threads this process should compute with.

#ifndef ATTENTION_SERVER_CORE_COMPUTE_THREADS_H_
#define ATTENTION_SERVER_CORE_COMPUTE_THREADS_H_

#include <optional>

namespace attention::server {

// Processors that the calling thread may run on, at least 1.
[[nodiscard]] int AffinityCpuCount();

// min(affinity_cpu_count, quota, requested), at least 1. The quota is rounded down: a thread too
// many has the whole process put to sleep for the rest of each period, in the middle of everybody's
// work, while the fraction left over serves the threads that receive and answer. `quota_cpus` is
// CgroupCpuQuota()'s, `requested_count` the operator's wish, if any.
[[nodiscard]] int ComputeThreadCount(int affinity_cpu_count, std::optional<double> quota_cpus,
                                     std::optional<int> requested_count);

// The same for this process as it stands.
[[nodiscard]] int ComputeThreadCount(std::optional<int> requested_count);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_COMPUTE_THREADS_H_
