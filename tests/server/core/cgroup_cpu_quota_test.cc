#include "server/core/cgroup_cpu_quota.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace attention::server {
namespace {

// A file system of a test's own.
class CgroupCpuQuotaTest : public testing::Test {
 protected:
  CgroupCpuQuotaTest() {
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    root_ = testing::TempDir() + "/cgroup_" + test.name() + "_XXXXXX";
    EXPECT_NE(mkdtemp(root_.data()), nullptr);
  }
  ~CgroupCpuQuotaTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  // What the process sees of its own groups and of what is mounted.
  void WriteProc(const std::string& cgroup, const std::string& mountinfo) {
    Write("/proc/self/cgroup", cgroup);
    Write("/proc/self/mountinfo", mountinfo);
  }

  void WriteVersion1(const std::string& folder, const std::string& quota,
                     const std::string& period) {
    Write(folder + "/cpu.cfs_quota_us", quota + "\n");
    Write(folder + "/cpu.cfs_period_us", period + "\n");
  }

  [[nodiscard]] std::optional<double> Quota() const { return CgroupCpuQuota(root_); }

  std::string root_;
};

constexpr char kVersion2Mount[] =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr char kVersion1Mount[] =
    "31 22 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "32 22 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";

TEST_F(CgroupCpuQuotaTest, IsAbsentWithoutControlGroups) {
  EXPECT_EQ(Quota(), std::nullopt);
  WriteProc("", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
  EXPECT_EQ(Quota(), std::nullopt);
}

TEST_F(CgroupCpuQuotaTest, ReadsVersion2InAContainer) {
  WriteProc("0::/\n", kVersion2Mount);
  Write("/sys/fs/cgroup/cpu.max", "250000 100000\n");
  EXPECT_EQ(Quota(), 2.5);
}

TEST_F(CgroupCpuQuotaTest, UnderstandsThatMaxIsNoQuota) {
  WriteProc("0::/\n", kVersion2Mount);
  Write("/sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(Quota(), std::nullopt);
}

TEST_F(CgroupCpuQuotaTest, TakesTheTightestOfTheGroupAndThoseAboveIt) {
  WriteProc("0::/system.slice/attention.service/worker\n", kVersion2Mount);
  Write("/sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n");
  Write("/sys/fs/cgroup/system.slice/attention.service/cpu.max", "max 100000\n");
  Write("/sys/fs/cgroup/system.slice/attention.service/worker/cpu.max", "800000 100000\n");
  Write("/sys/fs/cgroup/system.slice/other/cpu.max", "10000 100000\n");
  EXPECT_EQ(Quota(), 1.5);
  Write("/sys/fs/cgroup/system.slice/attention.service/worker/cpu.max", "50000 100000\n");
  EXPECT_EQ(Quota(), 0.5);
}

TEST_F(CgroupCpuQuotaTest, ReadsVersion1) {
  WriteProc("4:cpuset:/\n3:cpu,cpuacct:/jobs/one\n", kVersion1Mount);
  WriteVersion1("/sys/fs/cgroup/cpu,cpuacct", "-1", "100000");
  WriteVersion1("/sys/fs/cgroup/cpu,cpuacct/jobs", "300000", "100000");
  WriteVersion1("/sys/fs/cgroup/cpu,cpuacct/jobs/one", "40000", "10000");
  EXPECT_EQ(Quota(), 3.0);
}

TEST_F(CgroupCpuQuotaTest, UnderstandsThatMinusOneIsNoQuota) {
  WriteProc("3:cpu,cpuacct:/\n", kVersion1Mount);
  WriteVersion1("/sys/fs/cgroup/cpu,cpuacct", "-1", "100000");
  EXPECT_EQ(Quota(), std::nullopt);
}

// Without a control group namespace, /proc names the group as the host sees it and the mount shows
// that group as its top.
TEST_F(CgroupCpuQuotaTest, FindsAGroupThatIsMountedAsTheTop) {
  WriteProc(
      "3:cpu,cpuacct:/docker/abc/inner\n",
      "32 22 0:28 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n");
  WriteVersion1("/sys/fs/cgroup/cpu,cpuacct", "400000", "100000");
  EXPECT_EQ(Quota(), 4.0);
  WriteVersion1("/sys/fs/cgroup/cpu,cpuacct/inner", "200000", "100000");
  EXPECT_EQ(Quota(), 2.0);
}

TEST_F(CgroupCpuQuotaTest, TakesTheTopForAGroupThatTheMountDoesNotShow) {
  for (const char* group : {"/../../elsewhere", "/kubepods/other", "/docker/abcdef"}) {
    WriteProc(std::string("0::") + group + "\n",
              "30 22 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    Write("/sys/fs/cgroup/cpu.max", "700000 100000\n");
    EXPECT_EQ(Quota(), 7.0) << group;
  }
}

TEST_F(CgroupCpuQuotaTest, TakesTheTighterOfBothVersionsInAHybrid) {
  WriteProc("3:cpu,cpuacct:/\n0::/\n",
            std::string(kVersion1Mount) +
                "33 22 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  Write("/sys/fs/cgroup/unified/cpu.max", "600000 100000\n");
  WriteVersion1("/sys/fs/cgroup/cpu,cpuacct", "500000", "100000");
  EXPECT_EQ(Quota(), 5.0);
  Write("/sys/fs/cgroup/unified/cpu.max", "100000 100000\n");
  EXPECT_EQ(Quota(), 1.0);
}

TEST_F(CgroupCpuQuotaTest, DoesNotTakeCpusetForCpu) {
  WriteProc("4:cpuset:/set\n", "31 22 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n");
  WriteVersion1("/sys/fs/cgroup/cpuset", "100000", "100000");
  EXPECT_EQ(Quota(), std::nullopt);
}

TEST_F(CgroupCpuQuotaTest, FindsAMountPointWithSpaces) {
  WriteProc("0::/\n", "30 22 0:26 / /control\\040groups rw - cgroup2 cgroup2 rw\n");
  Write("/control groups/cpu.max", "200000 100000\n");
  EXPECT_EQ(Quota(), 2.0);
}

TEST_F(CgroupCpuQuotaTest, IgnoresWhatItCannotParse) {
  for (const char* text : {"", "\n", "200000", "200000 0", "0 100000", "-5 100000", "2e5 100000",
                           "99999999999999999999 1", "200000 100000 1"}) {
    WriteProc("0::/\n", kVersion2Mount);
    Write("/sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(Quota(), std::nullopt) << text;
  }
  WriteProc("nonsense\n:\n0:\n", "short line\n30 22 0:26 / /sys/fs/cgroup rw - cgroup2\n");
  Write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(Quota(), std::nullopt);
}

}  // namespace
}  // namespace attention::server
