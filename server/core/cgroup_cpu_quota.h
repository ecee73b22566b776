// How much processor time the control groups of this process allow.

#ifndef ATTENTION_SERVER_CORE_CGROUP_CPU_QUOTA_H_
#define ATTENTION_SERVER_CORE_CGROUP_CPU_QUOTA_H_

#include <optional>
#include <string>

namespace attention::server {

// The tightest quota, in processors, that applies to this process: of its own control group and of
// every group above it that is mounted here, in version 2 (cpu.max), version 1 (cpu.cfs_quota_us,
// cpu.cfs_period_us), or both where both are mounted. Empty if there is none. What cannot be read
// or parsed sets no limit.
//
// Reads /proc/self/cgroup, /proc/self/mountinfo and the groups' files below `file_system_root`,
// which is empty for the machine's own. Source: Linux, Documentation/admin-guide/cgroup-v2.rst,
// section "CPU Interface Files", and Documentation/scheduler/sched-bwc.rst; proc_pid_mountinfo(5).
[[nodiscard]] std::optional<double> CgroupCpuQuota(const std::string& file_system_root = "");

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_CGROUP_CPU_QUOTA_H_
