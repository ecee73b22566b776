#include "server/prometheus_process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

namespace attention::server {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

struct ProcessStatistics {
  double cpu_ticks = 0;
  double start_ticks = 0;  // after the machine's start
  double virtual_bytes = 0;
  double resident_pages = 0;
};

std::optional<ProcessStatistics> ReadStatistics() {
  std::ifstream file("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  // The second field is the program's name in parentheses and may hold anything; the third comes
  // after the last one.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  ProcessStatistics result;
  std::string field;
  for (int number = 3; fields >> field; ++number) {
    const double value = std::strtod(field.c_str(), nullptr);
    if (number == 14 || number == 15) result.cpu_ticks += value;
    if (number == 22) result.start_ticks = value;
    if (number == 23) result.virtual_bytes = value;
    if (number == 24) {
      result.resident_pages = value;
      return result;
    }
  }
  return std::nullopt;
}

// When the machine started, in seconds of Unix time.
std::optional<double> BootTimeSeconds() {
  std::ifstream file("/proc/stat");
  std::string name;
  while (file >> name) {
    double seconds = 0;
    if (name == "btime" && file >> seconds) return seconds;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

std::optional<double> OpenFileCount() {
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc/self/fd", error);
  double count = 0;
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) ++count;
  if (error) return std::nullopt;
  return count - 1;  // the folder itself was open
}

std::optional<double> MaxFileCount() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  if (limit.rlim_cur == RLIM_INFINITY) return std::numeric_limits<double>::infinity();
  return static_cast<double>(limit.rlim_cur);
}

class Families {
 public:
  void Add(MetricType type, const char* name, const char* help, std::optional<double> value) {
    if (!value.has_value()) return;
    MetricFamily family = {name, help, type, {}};
    family.metric.emplace_back();
    (type == MetricType::Counter ? family.metric[0].counter.value : family.metric[0].gauge.value) =
        *value;
    families_.push_back(std::move(family));
  }

  std::vector<MetricFamily> Take() { return std::move(families_); }

 private:
  std::vector<MetricFamily> families_;
};

}  // namespace

std::vector<MetricFamily> ProcessMetrics::Collect() const {
  const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));
  Families families;
  if (const auto statistics = ReadStatistics(); statistics.has_value()) {
    families.Add(MetricType::Counter, "process_cpu_seconds_total",
                 "Processor time used, user and system.", statistics->cpu_ticks / ticks_per_second);
    families.Add(MetricType::Gauge, "process_resident_memory_bytes", "Memory in use, resident.",
                 statistics->resident_pages * page_bytes);
    families.Add(MetricType::Gauge, "process_virtual_memory_bytes", "Memory in use, virtual.",
                 statistics->virtual_bytes);
    if (const auto boot_seconds = BootTimeSeconds(); boot_seconds.has_value()) {
      families.Add(MetricType::Gauge, "process_start_time_seconds",
                   "Start of the process, Unix time.",
                   *boot_seconds + statistics->start_ticks / ticks_per_second);
    }
  }
  families.Add(MetricType::Gauge, "process_open_fds", "Open file descriptors.", OpenFileCount());
  families.Add(MetricType::Gauge, "process_max_fds", "Limit of open file descriptors.",
               MaxFileCount());
  return families.Take();
}

}  // namespace attention::server
