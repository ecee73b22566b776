#include "tests/benchmark/service/stream_calls.h"

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "client/attention_client.h"
#include "tests/benchmark/attention_case.h"
#include "tests/benchmark/attention_operands.h"
#include "tests/benchmark/failures.h"
#include "tests/benchmark/row_timing.h"
#include "tests/benchmark/service/borrowed.h"
#include "tests/benchmark/service/served.h"

namespace attention::benchmark {
namespace {

using kernels::DataType;
using kernels::TensorView;

// Of each head, dense.
class Rows {
 public:
  Rows(const TensorView& heads, int64_t first, int64_t count)
      : extents_{heads.extents[0], heads.extents[1], count, heads.extents[3]},
        type_(heads.type),
        bytes_(static_cast<size_t>(kernels::ElementCount(extents_)) *
               kernels::ElementBytes(type_)) {
    const size_t head_bytes = bytes_.size() / static_cast<size_t>(heads.extents[1]);
    for (int64_t head = 0; head < heads.extents[1]; ++head) {
      std::memcpy(bytes_.data() + static_cast<size_t>(head) * head_bytes,
                  kernels::RowAddress(heads, 0, head, first), head_bytes);
    }
  }

  [[nodiscard]] client::TensorRef ref() const {
    return Borrow(kernels::DenseView(bytes_.data(), type_, extents_));
  }

 private:
  kernels::Extents extents_;
  DataType type_;
  std::vector<std::byte> bytes_;
};

// Decodes with the keys and values of a shape, of which the last are the first token's.
class Steps {
 public:
  Steps(const kernels::AttentionProblem& problem, client::AttentionClient& client)
      : client_(client),
        past_count_(problem.key.extents[2] - 1),
        query_(problem.query, 0, 1),
        past_key_(problem.key, 0, past_count_),
        past_value_(problem.value, 0, past_count_),
        key_(problem.key, past_count_, 1),
        value_(problem.value, past_count_, 1) {}

  // Begins anew now and then, so that keys stay about as many as the shape's.
  absl::StatusOr<client::AttentionResult> Next() {
    constexpr int kMaxSteps = 256;
    client::ScaledDotProductAttentionRequest request;
    request.query = query_.ref();
    request.key = key_.ref();
    request.value = value_.ref();
    if (session_ == nullptr || ++step_count_ == kMaxSteps) {
      session_ = client_.StartDecoding();
      step_count_ = 0;
      request.past_key = past_key_.ref();
      request.past_value = past_value_.ref();
    }
    return session_->Attend(request);
  }

 private:
  client::AttentionClient& client_;
  const int64_t past_count_;
  const Rows query_, past_key_, past_value_, key_, value_;
  std::unique_ptr<client::DecodingSession> session_;
  int step_count_ = 0;
};

void Run(::benchmark::State& state, const AttentionCase& timed) {
  AttentionOperands& operands = AttentionOperands::Of(*timed.shape, timed.type);
  Steps steps(operands.Problem(), ClientOfServer(timed.thread_count));
  if (const absl::Status status = Verify(steps.Next(), *timed.shape, operands); !status.ok()) {
    return Fail(state, status.ToString());
  }
  TimeCalls(state, [&] { return steps.Next(); });
}

}  // namespace

void RegisterStreamCalls() {
  for (const AttentionShape& shape : AllAttentionShapes()) {
    if (shape.kind != "decode" || shape.buffer_count > 1) continue;
    for (const int thread_count : {1, 2}) {
      for (const DataType type : {DataType::kF32, DataType::kBF16}) {
        const AttentionCase timed = {&shape, type, kernels::Precision::kF32, thread_count};
        const std::string name = "service/stream/" + std::string(shape.name) + "/" +
                                 RowSuffix(type, timed.precision, thread_count);
        ::benchmark::RegisterBenchmark(name,
                                       [timed](::benchmark::State& state) { Run(state, timed); })
            ->UseRealTime()
            ->Unit(::benchmark::kMillisecond);
      }
    }
  }
}

}  // namespace attention::benchmark
