#include "kernels/onednn/tiled_matmul.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "kernels/aligned_array.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/instruction_set.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace attention::kernels {
namespace {

using dnnl::memory;

const dnnl::engine& Engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

// oneDNN would start OpenMP threads of its own; the executor has given this thread one processor.
dnnl::stream& StreamOfThisThread() {
  thread_local dnnl::stream stream = [] {
    omp_set_num_threads(1);
    return dnnl::stream(Engine());
  }();
  return stream;
}

memory::data_type LibraryType(DataType type) {
  return type == DataType::kBF16 ? memory::data_type::bf16 : memory::data_type::f32;
}

memory::desc RowMajor(int64_t row_count, int64_t column_count, memory::data_type type) {
  return {{row_count, column_count}, type, memory::format_tag::ab};
}

// F16, and BF16 where the processor has no products of it, are computed in f32.
DataType ComputeType(DataType type) {
  const bool bf16 =
      type == DataType::kBF16 && EffectiveInstructionLevel() >= InstructionLevel::kAvx512Amx;
  return bf16 ? DataType::kBF16 : DataType::kF32;
}

class OneDnnMatmul final : public TiledMatmul {
 public:
  // Throws dnnl::error and std::bad_alloc.
  explicit OneDnnMatmul(const Projection& projection)
      : projection_(projection), type_(ComputeType(projection.type)) {
    dnnl::stream& stream = StreamOfThisThread();
    const memory::data_type type = LibraryType(type_);
    const int64_t input_width = projection.input_width;
    const int64_t output_width = projection.output_width;
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(
        dnnl::scratchpad_mode::user);  // the library's own belongs to one thread
    const memory::desc bias =
        projection.bias != nullptr ? RowMajor(1, output_width, type) : memory::desc();
    const dnnl::matmul::primitive_desc description(
        Engine(), RowMajor(kTileRows, input_width, type),
        memory::desc({input_width, output_width}, type, memory::format_tag::any), bias,
        RowMajor(kTileRows, output_width, type), attributes);
    matmul_ = dnnl::matmul(description);
    input_desc_ = description.src_desc();
    output_desc_ = description.dst_desc();
    scratchpad_desc_ = description.scratchpad_desc();
    PackWeight(description.weights_desc(), stream);
    if (projection.bias != nullptr) {
      bias_ = memory(bias, Engine(),
                     const_cast<void*>(Ready(projection.bias, output_width, bias_storage_)));
    }
  }

  absl::Status RunTile(int64_t first_row) const override {
    const int64_t row_count = std::min(kTileRows, projection_.row_count - first_row);
    const bool whole = row_count == kTileRows && type_ == projection_.type;
    const int64_t element_bytes = static_cast<int64_t>(ElementBytes(projection_.type));
    const auto* input = static_cast<const std::byte*>(projection_.input) +
                        first_row * projection_.input_width * element_bytes;
    auto* output = static_cast<std::byte*>(projection_.output) +
                   first_row * projection_.output_width * element_bytes;
    thread_local AlignedArray<std::byte> padded_input;
    thread_local AlignedArray<std::byte> padded_output;
    if (!whole) {
      padded_input.Reserve(input_desc_.get_size());
      padded_output.Reserve(output_desc_.get_size());
      Pad(input, row_count * projection_.input_width, padded_input.data());
    }
    try {
      Execute(whole ? input : padded_input.data(), whole ? output : padded_output.data());
    } catch (const dnnl::error& error) {
      return absl::InternalError(
          absl::StrCat("oneDNN could not compute a projection: ", error.what()));
    }
    if (!whole) Unpad(padded_output.data(), row_count * projection_.output_width, output);
    return absl::OkStatus();
  }

 private:
  // `count` elements in the type of the computation: the source itself, or converted in `storage`.
  const void* Ready(const void* source, int64_t count, AlignedArray<float>& storage) const {
    if (type_ == projection_.type) return source;
    storage.Reserve(static_cast<size_t>(count));
    ConvertToF32(projection_.type, source, count, storage.data());
    return storage.data();
  }

  void PackWeight(const memory::desc& packed, dnnl::stream& stream) {
    AlignedArray<float> converted;
    const int64_t count = projection_.input_width * projection_.output_width;
    memory source(RowMajor(projection_.input_width, projection_.output_width, LibraryType(type_)),
                  Engine(), const_cast<void*>(Ready(projection_.weight, count, converted)));
    weight_ = memory(packed, Engine());
    dnnl::reorder(source, weight_).execute(stream, source, weight_);
    stream.wait();
  }

  void Pad(const std::byte* input, int64_t element_count, std::byte* padded) const {
    const size_t bytes = static_cast<size_t>(element_count) * ElementBytes(type_);
    if (type_ == projection_.type) {
      std::memcpy(padded, input, bytes);
    } else {
      ConvertToF32(projection_.type, input, element_count, reinterpret_cast<float*>(padded));
    }
    std::memset(padded + bytes, 0, input_desc_.get_size() - bytes);
  }

  void Unpad(const std::byte* padded, int64_t element_count, std::byte* output) const {
    if (type_ == projection_.type) {
      std::memcpy(output, padded, static_cast<size_t>(element_count) * ElementBytes(type_));
    } else {
      ScaleFromF32(reinterpret_cast<const float*>(padded), 1.0f, element_count, projection_.type,
                   output);
    }
  }

  void Execute(const std::byte* input, std::byte* output) const {
    dnnl::stream& stream = StreamOfThisThread();
    thread_local AlignedArray<std::byte> scratchpad;
    scratchpad.Reserve(scratchpad_desc_.get_size());
    std::unordered_map<int, memory> arguments = {
        {DNNL_ARG_SRC, memory(input_desc_, Engine(), const_cast<std::byte*>(input))},
        {DNNL_ARG_WEIGHTS, weight_},
        {DNNL_ARG_DST, memory(output_desc_, Engine(), output)},
        {DNNL_ARG_SCRATCHPAD, memory(scratchpad_desc_, Engine(), scratchpad.data())}};
    if (projection_.bias != nullptr) arguments.emplace(DNNL_ARG_BIAS, bias_);
    matmul_.execute(stream, arguments);
    stream.wait();
  }

  const Projection& projection_;
  const DataType type_;  // of the computation
  dnnl::matmul matmul_;
  memory::desc input_desc_;
  memory::desc output_desc_;
  memory::desc scratchpad_desc_;
  memory weight_;
  memory bias_;
  AlignedArray<float> bias_storage_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TiledMatmul>> TiledMatmul::Make(const Projection& projection) {
  try {
    return std::make_unique<OneDnnMatmul>(projection);
  } catch (const dnnl::error& error) {
    return absl::InternalError(absl::StrCat("oneDNN could not make a projection: ", error.what()));
  }
}

}  // namespace attention::kernels
