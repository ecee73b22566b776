#include "tests/benchmark/peers/onednn_graph_sdpa.h"

#include <omp.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "oneapi/dnnl/dnnl_graph.hpp"

namespace graph = dnnl::graph;

namespace {

using Dims = graph::logical_tensor::dims;
using Kind = graph::op::kind;

// Numbers the tensors and operations of a graph.
class GraphBuilder {
 public:
  explicit GraphBuilder(graph::logical_tensor::data_type type) : type_(type) {}

  graph::logical_tensor Tensor(const Dims& dims) {
    return {next_id_++, type_, dims, graph::logical_tensor::layout_type::strided};
  }

  graph::op Operation(Kind kind, const std::vector<graph::logical_tensor>& inputs,
                      const graph::logical_tensor& output) {
    return {next_id_++, kind, inputs, {output}, "attention"};
  }

 private:
  const graph::logical_tensor::data_type type_;
  size_t next_id_ = 0;
};

uint16_t ToBfloat16(float value) {  // of numbers that bfloat16 holds, and near others
  uint32_t bits;
  static_assert(sizeof(bits) == sizeof(value));
  __builtin_memcpy(&bits, &value, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// Numbers of one type.
class Constants {
 public:
  Constants(bool is_bf16, size_t count) : is_bf16_(is_bf16), bytes_(count * (is_bf16 ? 2 : 4)) {}

  void Set(size_t index, float value) {
    if (is_bf16_) {
      reinterpret_cast<uint16_t*>(bytes_.data())[index] = ToBfloat16(value);
    } else {
      reinterpret_cast<float*>(bytes_.data())[index] = value;
    }
  }

  void* data() { return bytes_.data(); }

 private:
  const bool is_bf16_;
  std::vector<std::byte> bytes_;
};

Constants CausalMask(const OneDnnGraphSdpaShape& shape) {
  if (shape.is_causal == 0) return {shape.is_bf16 != 0, 0};
  const auto key_count = static_cast<size_t>(shape.key_count);
  Constants mask(shape.is_bf16 != 0, static_cast<size_t>(shape.query_count) * key_count);
  for (size_t query = 0; query < static_cast<size_t>(shape.query_count); ++query) {
    for (size_t key = 0; key < key_count; ++key) {
      mask.Set(query * key_count + key, key <= query ? 0 : -std::numeric_limits<float>::infinity());
    }
  }
  return mask;
}

}  // namespace

struct OneDnnGraphSdpa {
 public:
  OneDnnGraphSdpa(const OneDnnGraphSdpaShape& shape, int thread_count)
      : thread_count_(thread_count), mask_(CausalMask(shape)), scale_(shape.is_bf16 != 0, 1) {
    omp_set_num_threads(thread_count_);
    scale_.Set(0, std::sqrt(static_cast<float>(shape.width)));
    Compile(shape);
  }

  void Run(const OneDnnGraphSdpaArrays& arrays) {
    omp_set_num_threads(thread_count_);
    const std::pair<size_t, void*> data[] = {
        {query_id_, const_cast<void*>(arrays.query)},
        {key_id_, const_cast<void*>(arrays.key)},
        {value_id_, const_cast<void*>(arrays.value)},
        {scale_id_, scale_.data()},
        {mask_id_, mask_.data()},
    };
    std::vector<graph::tensor> inputs;
    for (const graph::logical_tensor& port : input_ports_) {
      for (const auto& [id, address] : data) {
        if (id == port.get_id()) inputs.emplace_back(port, engine_, address);
      }
    }
    compiled_.execute(stream_, inputs, {graph::tensor(output_port_, engine_, arrays.output)});
    stream_.wait();
  }

 private:
  static constexpr size_t kNone = std::numeric_limits<size_t>::max();

  void Compile(const OneDnnGraphSdpaShape& shape) {
    const auto type = shape.is_bf16 != 0 ? graph::logical_tensor::data_type::bf16
                                         : graph::logical_tensor::data_type::f32;
    GraphBuilder builder(type);
    const bool grouped = shape.query_head_count != shape.key_value_head_count;
    const int64_t group = shape.query_head_count / shape.key_value_head_count;
    const auto dims = [&](int64_t members, int64_t rows, int64_t columns) {
      if (!grouped) return Dims{shape.batch, shape.key_value_head_count, rows, columns};
      return Dims{shape.batch, shape.key_value_head_count, members, rows, columns};
    };
    const auto query = builder.Tensor(dims(group, shape.query_count, shape.width));
    const auto key = builder.Tensor(dims(1, shape.key_count, shape.width));
    const auto value = builder.Tensor(dims(1, shape.key_count, shape.width));
    const auto scale = builder.Tensor({1});
    const Dims score_dims = dims(group, shape.query_count, shape.key_count);
    const auto raw = builder.Tensor(score_dims);
    const auto scaled = builder.Tensor(score_dims);
    const auto weights = builder.Tensor(score_dims);
    const auto output = builder.Tensor(dims(group, shape.query_count, shape.width));

    auto first_product = builder.Operation(Kind::MatMul, {query, key}, raw);
    first_product.set_attr<bool>(graph::op::attr::transpose_b, true);
    graph::graph whole(dnnl::engine::kind::cpu);
    whole.add_op(first_product);
    whole.add_op(builder.Operation(Kind::Divide, {raw, scale}, scaled));
    auto scores = scaled;
    if (shape.is_causal != 0) {
      const auto mask = builder.Tensor({1, 1, shape.query_count, shape.key_count});
      mask_id_ = mask.get_id();
      scores = builder.Tensor(score_dims);
      whole.add_op(builder.Operation(Kind::Add, {scaled, mask}, scores));
    }
    auto softmax = builder.Operation(Kind::SoftMax, {scores}, weights);
    softmax.set_attr<int64_t>(graph::op::attr::axis, -1);
    whole.add_op(softmax);
    whole.add_op(builder.Operation(Kind::MatMul, {weights, value}, output));
    whole.finalize();

    std::vector<graph::partition> partitions = whole.get_partitions();
    if (partitions.size() != 1 || !partitions[0].is_supported()) {
      throw std::runtime_error("is not one partition");
    }
    input_ports_ = partitions[0].get_input_ports();
    output_port_ = partitions[0].get_output_ports()[0];
    compiled_ = partitions[0].compile(input_ports_, {output_port_}, engine_);
    query_id_ = query.get_id();
    key_id_ = key.get_id();
    value_id_ = value.get_id();
    scale_id_ = scale.get_id();
  }

  const int thread_count_;
  Constants mask_;
  Constants scale_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::vector<graph::logical_tensor> input_ports_;
  graph::logical_tensor output_port_;
  graph::compiled_partition compiled_;
  size_t query_id_ = kNone;
  size_t key_id_ = kNone;
  size_t value_id_ = kNone;
  size_t scale_id_ = kNone;
  size_t mask_id_ = kNone;
};

OneDnnGraphSdpa* onednn_graph_sdpa_make(const OneDnnGraphSdpaShape* shape, int thread_count,
                                        char* reason, int64_t reason_bytes) {
  try {
    return std::make_unique<OneDnnGraphSdpa>(*shape, thread_count).release();
  } catch (const std::exception& error) {
    std::snprintf(reason, static_cast<size_t>(reason_bytes), "%s", error.what());
    return nullptr;
  }
}

int onednn_graph_sdpa_run(OneDnnGraphSdpa* attention, const OneDnnGraphSdpaArrays* arrays) {
  try {
    attention->Run(*arrays);
    return 0;
  } catch (const std::exception&) {
    return 1;
  }
}

void onednn_graph_sdpa_free(OneDnnGraphSdpa* attention) { delete attention; }
