#include "server/core/cgroup_cpu_quota.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace attention::server {
namespace {

// A place where a hierarchy of control groups that limit processor time is mounted.
struct Mount {
  bool version_2 = false;
  std::string top_group;    // the group that the mount point shows, "/" if not a container's
  std::string mount_point;  // in this process's file system
};

std::vector<std::string> ReadLines(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// Undoes mountinfo's escapes: a backslash and three octal digits.
std::string Unescaped(absl::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto is_octal = [&](size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(i + 1) && is_octal(i + 2) &&
        is_octal(i + 3)) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                  (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

// Whether a list separated by commas names the controller "cpu" ("cpuset" and "cpuacct" are
// others).
bool NamesCpu(absl::string_view list) {
  for (const absl::string_view name : absl::StrSplit(list, ',')) {
    if (name == "cpu") return true;
  }
  return false;
}

// id parent major:minor root mount-point options [tag...] - type source super-options
std::vector<Mount> CgroupMounts(const std::string& file_system_root) {
  std::vector<Mount> mounts;
  for (const std::string& line :
       ReadLines(absl::StrCat(file_system_root, "/proc/self/mountinfo"))) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (dash - fields.begin() < 6 || fields.end() - dash < 4) continue;
    const bool version_2 = dash[1] == "cgroup2";
    if (!version_2 && !(dash[1] == "cgroup" && NamesCpu(dash[3]))) continue;
    mounts.push_back({version_2, Unescaped(fields[3]), Unescaped(fields[4])});
  }
  return mounts;
}

// The path of this process's group. hierarchy:controllers:path; version 2 has no controllers there.
std::optional<std::string> OwnGroup(const std::string& file_system_root, bool version_2) {
  for (const std::string& line : ReadLines(absl::StrCat(file_system_root, "/proc/self/cgroup"))) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    if (version_2 ? fields[0] == "0" && fields[1].empty() : NamesCpu(fields[1])) return fields[2];
  }
  return std::nullopt;
}

// `group` as a path below the mount point, "" for the mount point itself. A group that the mount
// does not show (the process was moved, or /proc is another namespace's) counts as the mount point.
std::string PathBelowMount(absl::string_view group, absl::string_view top_group) {
  if (top_group != "/") {
    if (!absl::StartsWith(group, top_group)) return "";
    group.remove_prefix(top_group.size());
  }
  if (!absl::StartsWith(group, "/") || absl::StrContains(group, "/..")) return "";
  return group == "/" ? "" : std::string(group);
}

std::optional<int64_t> ReadInteger(const std::string& path) {
  const std::vector<std::string> lines = ReadLines(path);
  int64_t number = 0;
  if (lines.empty() || !absl::SimpleAtoi(lines[0], &number)) return std::nullopt;
  return number;
}

std::optional<double> Ratio(std::optional<int64_t> quota_us, std::optional<int64_t> period_us) {
  if (!quota_us.has_value() || !period_us.has_value() || *quota_us <= 0 || *period_us <= 0) {
    return std::nullopt;  // version 1 says -1 for "no limit"
  }
  return static_cast<double>(*quota_us) / static_cast<double>(*period_us);
}

// Of one group alone.
std::optional<double> GroupQuota(const std::string& folder, bool version_2) {
  if (!version_2) {
    return Ratio(ReadInteger(absl::StrCat(folder, "/cpu.cfs_quota_us")),
                 ReadInteger(absl::StrCat(folder, "/cpu.cfs_period_us")));
  }
  const std::vector<std::string> lines = ReadLines(absl::StrCat(folder, "/cpu.max"));
  if (lines.empty()) return std::nullopt;
  const std::vector<absl::string_view> fields = absl::StrSplit(lines[0], ' ');
  int64_t quota_us = 0;
  int64_t period_us = 0;
  if (fields.size() != 2 || !absl::SimpleAtoi(fields[0], &quota_us) ||
      !absl::SimpleAtoi(fields[1], &period_us)) {
    return std::nullopt;  // "max" says "no limit"
  }
  return Ratio(quota_us, period_us);
}

}  // namespace

std::optional<double> CgroupCpuQuota(const std::string& file_system_root) {
  std::optional<double> tightest;
  for (const Mount& mount : CgroupMounts(file_system_root)) {
    const std::optional<std::string> group = OwnGroup(file_system_root, mount.version_2);
    if (!group.has_value()) continue;
    std::string path = PathBelowMount(*group, mount.top_group);
    while (true) {
      const std::optional<double> quota =
          GroupQuota(absl::StrCat(file_system_root, mount.mount_point, path), mount.version_2);
      if (quota.has_value()) tightest = std::min(tightest.value_or(*quota), *quota);
      if (path.empty()) break;
      path.resize(path.rfind('/'));  // every path here starts with a slash
    }
  }
  return tightest;
}

}  // namespace attention::server
