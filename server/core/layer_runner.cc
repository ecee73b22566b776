#include "server/core/layer_runner.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "kernels/projection.h"
#include "server/core/counting_executor.h"
#include "server/core/guarded.h"
#include "server/core/layer.h"
#include "server/core/packed_strides.h"
#include "server/core/status_macros.h"
#include "server/core/task_runner.h"

namespace attention::server {
namespace {

using Source = HeadsSource AttentionTask::*;

// One of the layer's maps to heads.
struct Role {
  Source source;
  std::unique_ptr<const kernels::PackedProjection> PackedMaps::* packed;
};
constexpr std::array<Role, 3> kRoles = {Role{&AttentionTask::query, &PackedMaps::query},
                                        Role{&AttentionTask::key, &PackedMaps::key},
                                        Role{&AttentionTask::value, &PackedMaps::value}};

// Asks for a stop once all tasks have.
class AllStopped final : public kernels::StopSignal {
 public:
  explicit AllStopped(std::span<const LayerTask> tasks) : tasks_(tasks) {}

  [[nodiscard]] bool StopRequested() const override {
    return std::all_of(tasks_.begin(), tasks_.end(), [](const LayerTask& task) {
      return task.stop != nullptr && task.stop->StopRequested();
    });
  }

 private:
  const std::span<const LayerTask> tasks_;
};

int64_t GivenRows(const HeadsSource& source) {
  return source.view.extents[0] * source.given_row_count();
}

// Rows that lie somewhere, to be put one after the other.
struct Rows {
  const void* data = nullptr;
  int64_t count = 0;
};

// Dense rows of several tasks, copied only if there are several.
class GatheredRows {
 public:
  GatheredRows(std::span<const Rows> parts, size_t row_bytes) {
    for (const Rows& part : parts) count_ += part.count;
    data_ = parts.front().data;
    if (parts.size() == 1) return;
    copy_ = Buffer(static_cast<size_t>(count_) * row_bytes);
    auto* target = static_cast<std::byte*>(copy_.data());
    for (const Rows& part : parts) {
      const size_t bytes = static_cast<size_t>(part.count) * row_bytes;
      if (bytes > 0) std::memcpy(target, part.data, bytes);
      target += bytes;
    }
    data_ = copy_.data();
  }

  [[nodiscard]] const void* data() const { return data_; }
  [[nodiscard]] int64_t count() const { return count_; }

 private:
  Buffer copy_;
  const void* data_ = nullptr;
  int64_t count_ = 0;
};

class LayerBatch {
 public:
  LayerBatch(std::span<LayerTask> tasks, const PackedMaps& maps, kernels::Executor* executor)
      : tasks_(tasks),
        maps_(maps),
        executor_(executor),
        counting_executor_(executor),
        all_stopped_(tasks),
        element_bytes_(kernels::ElementBytes(tasks.front().task->type)) {
    for (const LayerTask& task : tasks_) ready_.push_back(*task.task);
  }

  // An error concerns all tasks.
  absl::Status Run() {
    for (size_t role = 0; role < kRoles.size(); ++role) {
      ATTENTION_RETURN_IF_ERROR(ProjectHeads(role));
    }
    Attend();
    return ProjectOutputs();
  }

 private:
  [[nodiscard]] kernels::Execution execution() {
    return {.executor = &counting_executor_, .stop = &all_stopped_};
  }

  // Replaces one source of each task by its projected heads.
  absl::Status ProjectHeads(size_t index) {
    const Role& role = kRoles[index];
    const kernels::PackedProjection* const packed = (maps_.*role.packed).get();
    if (packed == nullptr) return absl::OkStatus();
    const LinearMap map = *(tasks_.front().task->*role.source).projection;
    std::vector<Rows> parts;
    for (const LayerTask& task : tasks_) {
      const HeadsSource& source = task.task->*role.source;
      parts.push_back({source.embeddings, GivenRows(source)});
    }
    const GatheredRows rows(parts, static_cast<size_t>(map.input_width) * element_bytes_);
    const size_t row_bytes = static_cast<size_t>(map.output_width) * element_bytes_;
    heads_[index] = Buffer(static_cast<size_t>(rows.count()) * row_bytes);
    if (absl::Status status = Apply(*packed, map, rows, heads_[index].data()); !status.ok()) {
      return status;
    }
    auto* heads = static_cast<std::byte*>(heads_[index].data());
    for (size_t i = 0; i < ready_.size(); ++i) {
      MakeReady(heads, ready_[i].*role.source);
      if (heads != nullptr) heads += static_cast<size_t>(parts[i].count) * row_bytes;
    }
    return absl::OkStatus();
  }

  absl::Status Apply(const kernels::PackedProjection& packed, const LinearMap& map,
                     const GatheredRows& rows, void* output) {
    const kernels::ProjectedRows outputs = {.data = output, .row_stride = map.output_width};
    return packed
        .Apply({.row_count = rows.count(),
                .input = rows.data(),
                .input_stride = map.input_width,
                .outputs = std::span(&outputs, 1)},
               execution())
        .status();
  }

  // Turns a projected source into one whose heads are there. An appended row stays to be appended.
  static void MakeReady(const void* heads, HeadsSource& source) {
    source.projection.reset();
    source.embeddings = nullptr;
    source.view.data = heads;
    kernels::Extents given = source.view.extents;
    given[2] = source.given_row_count();
    source.view.strides = PackedStrides(given);
  }

  // Each task on one thread, if there are several.
  void Attend() {
    for (AttentionTask& task : ready_) task.output_projection.reset();
    const auto run = [this](size_t index, kernels::Executor* executor) {
      tasks_[index].result = Guarded([&] {
        return RunTask(ready_[index], {.executor = executor, .stop = tasks_[index].stop});
      });
    };
    if (tasks_.size() == 1) {
      run(0, executor_);
    } else {
      counting_executor_.Run(static_cast<int64_t>(tasks_.size()),
                             [&](int64_t index) { run(static_cast<size_t>(index), nullptr); });
    }
  }

  // Replaces the heads of all tasks that have come so far by what the layer makes of them.
  absl::Status ProjectOutputs() {
    std::vector<AttentionResult*> results;
    std::vector<Rows> parts;
    if (maps_.output != nullptr) {
      for (LayerTask& task : tasks_) {
        if (!task.result.ok()) continue;
        results.push_back(&*task.result);
        parts.push_back({task.result->output.data(), GivenRows(task.task->query)});
      }
    }
    if (!results.empty()) {
      const LinearMap map = *tasks_.front().task->output_projection;
      const GatheredRows rows(parts, static_cast<size_t>(map.input_width) * element_bytes_);
      const size_t row_bytes = static_cast<size_t>(map.output_width) * element_bytes_;
      Buffer outputs(static_cast<size_t>(rows.count()) * row_bytes);
      if (absl::Status status = Apply(*maps_.output, map, rows, outputs.data()); !status.ok()) {
        return status;
      }
      Distribute(std::move(outputs), row_bytes, parts, results);
    }
    for (LayerTask& task : tasks_) {
      if (!task.result.ok()) continue;
      int& thread_count = task.result->report.thread_count;
      thread_count = std::max(thread_count, counting_executor_.most_threads());
    }
    return absl::OkStatus();
  }

  // Gives each result its rows, copied only if there are several.
  static void Distribute(Buffer outputs, size_t row_bytes, std::span<const Rows> parts,
                         std::span<AttentionResult* const> results) {
    if (results.size() == 1) {
      results[0]->output = std::move(outputs);
      return;
    }
    const auto* source = static_cast<const std::byte*>(outputs.data());
    for (size_t i = 0; i < results.size(); ++i) {
      const size_t bytes = static_cast<size_t>(parts[i].count) * row_bytes;
      results[i]->output = Buffer(bytes);
      if (bytes == 0) continue;
      std::memcpy(results[i]->output.data(), source, bytes);
      source += bytes;
    }
  }

  const std::span<LayerTask> tasks_;
  const PackedMaps& maps_;
  kernels::Executor* const executor_;
  CountingExecutor counting_executor_;
  const AllStopped all_stopped_;
  const size_t element_bytes_;
  std::vector<AttentionTask> ready_;         // the tasks, with their heads projected
  std::array<Buffer, kRoles.size()> heads_;  // of all tasks
};

}  // namespace

int64_t SharedRows(const AttentionTask& task) {
  return std::max(GivenRows(task.query), GivenRows(task.key));
}

bool HasSharedProducts(const AttentionTask& task) {
  try {
    return task.layer->Packed(task.options.precision) != nullptr;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

bool CanShare(const AttentionTask& a, const AttentionTask& b) {
  return a.layer != nullptr && a.layer == b.layer && a.options.precision == b.options.precision;
}

void RunLayerTasks(std::span<LayerTask> tasks, kernels::Executor* executor) {
  const AttentionTask& first = *tasks.front().task;
  std::shared_ptr<const PackedMaps> maps;
  absl::Status status = Guarded([&] {
    maps = first.layer->Packed(first.options.precision);
    return maps != nullptr ? LayerBatch(tasks, *maps, executor).Run() : absl::OkStatus();
  });
  for (LayerTask& task : tasks) {
    if (!status.ok()) {
      task.result = status;
    } else if (maps == nullptr) {
      task.result =
          Guarded([&] { return RunTask(*task.task, {.executor = executor, .stop = task.stop}); });
    }
  }
}

}  // namespace attention::server
