#include "server/core/ragged_runner.h"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "kernels/first_error.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

// A helper leaves between items, so none may be long: some 30 ms.
constexpr double kMostItemFlops = 4e9;
constexpr double kMostFloat64ItemFlops = 4e7;

// A sequence that costs more than its share of what is left, of which each thread has so many,
// would keep one thread at work while the others wait.
constexpr double kSharesPerThread = 4;

struct Sequence {
  double flops;
  int64_t index;
};

// Which report speaks for most queries. Thread safety: Add may be called from any thread.
class ReportTally {
 public:
  void Add(const kernels::AttentionReport& report, int64_t query_count) {
    const std::lock_guard lock(mutex_);
    for (Entry& entry : entries_) {
      if (entry.report.implementation != report.implementation ||
          entry.report.precision != report.precision) {
        continue;
      }
      entry.query_count += query_count;
      return;
    }
    entries_.push_back({report, query_count});
  }

  // Which of several that speak for as many does not depend on the order of the calls.
  [[nodiscard]] kernels::AttentionReport Most() const {
    const auto most =
        std::max_element(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
          if (a.query_count != b.query_count) return a.query_count < b.query_count;
          if (a.report.implementation != b.report.implementation) {
            return a.report.implementation < b.report.implementation;
          }
          return a.report.precision < b.report.precision;
        });
    return most == entries_.end() ? kernels::AttentionReport() : most->report;
  }

 private:
  struct Entry {
    kernels::AttentionReport report;
    int64_t query_count;
  };

  std::mutex mutex_;
  std::vector<Entry> entries_;
};

class SequenceSchedule {
 public:
  SequenceSchedule(const kernels::AttentionProblem& whole, const RaggedRows& rows,
                   const kernels::AttentionOptions& options,
                   const kernels::AttentionOutputs& outputs, const kernels::Execution& execution)
      : whole_(whole), rows_(rows), options_(options), outputs_(outputs), execution_(execution) {}

  absl::StatusOr<kernels::AttentionReport> Run() {
    Order();
    const size_t alone_count = RunLongOnes();
    const auto rest = static_cast<int64_t>(sequences_.size() - alone_count);
    const int rest_threads = kernels::RunItems(execution_, rest, [&](int64_t item) {
      if (!error_.Get().ok()) return;
      const Sequence& sequence = sequences_[alone_count + static_cast<size_t>(item)];
      Attend(sequence.index, {.executor = nullptr, .stop = execution_.stop});
    });
    ATTENTION_RETURN_IF_ERROR(error_.Get());
    if (kernels::StopRequested(execution_)) return absl::CancelledError("stopped on request");
    kernels::AttentionReport report = tally_.Most();
    report.thread_count = std::max(rest_threads, most_threads_);
    return report;
  }

 private:
  // The costliest first.
  void Order() {
    sequences_.reserve(static_cast<size_t>(rows_.sequence_count()));
    for (int64_t index = 0; index < rows_.sequence_count(); ++index) {
      sequences_.push_back({kernels::EstimateFlops(SequenceOf(whole_, rows_, index)), index});
    }
    std::sort(sequences_.begin(), sequences_.end(), [](const Sequence& a, const Sequence& b) {
      return a.flops != b.flops ? a.flops > b.flops : a.index < b.index;
    });
  }

  // Runs, on all threads, those that must not be one thread's; returns how many.
  size_t RunLongOnes() {
    const double shares = kSharesPerThread * kernels::ThreadCount(execution_);
    const double most_flops = kernels::RunsInFloat64(SequenceOf(whole_, rows_, 0), options_)
                                  ? kMostFloat64ItemFlops
                                  : kMostItemFlops;
    double flops_left = 0;
    for (const Sequence& sequence : sequences_) flops_left += sequence.flops;
    size_t count = 0;
    for (const Sequence& sequence : sequences_) {
      if (sequence.flops <= most_flops && sequence.flops * shares <= flops_left) break;
      if (!error_.Get().ok() || kernels::StopRequested(execution_)) return sequences_.size();
      Attend(sequence.index, execution_);
      flops_left -= sequence.flops;
      ++count;
    }
    return count;
  }

  void Attend(int64_t index, const kernels::Execution& execution) {
    const absl::StatusOr<kernels::AttentionReport> report = kernels::Attend(
        SequenceOf(whole_, rows_, index), options_, SequenceOf(outputs_, rows_, index), execution);
    if (!report.ok()) return error_.Update(report.status());
    tally_.Add(*report, rows_.query_count(index));
    if (execution.executor != nullptr)
      most_threads_ = std::max(most_threads_, report->thread_count);
  }

  const kernels::AttentionProblem& whole_;
  const RaggedRows& rows_;
  const kernels::AttentionOptions& options_;
  const kernels::AttentionOutputs& outputs_;
  const kernels::Execution& execution_;
  std::vector<Sequence> sequences_;
  int most_threads_ = 1;  // of a sequence on all threads
  kernels::FirstError error_;
  ReportTally tally_;
};

}  // namespace

absl::StatusOr<kernels::AttentionReport> AttendToSequences(const kernels::AttentionProblem& whole,
                                                           const RaggedRows& rows,
                                                           const kernels::AttentionOptions& options,
                                                           const kernels::AttentionOutputs& outputs,
                                                           const kernels::Execution& execution) {
  return SequenceSchedule(whole, rows, options, outputs, execution).Run();
}

int64_t ScheduleBytes(const RaggedRows& rows) {
  return rows.sequence_count() * static_cast<int64_t>(sizeof(Sequence));
}

}  // namespace attention::server
