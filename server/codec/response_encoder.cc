#include "server/codec/response_encoder.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/slice.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "server/codec/element_conversion.h"
#include "server/codec/tensor_codec.h"
#include "server/core/result_arrays.h"

namespace attention::server {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;

uint32_t LengthDelimitedTag(int field_number) {
  return WireFormatLite::MakeTag(field_number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

void AppendVarint(uint64_t value, std::string& bytes) {
  uint8_t buffer[10];
  const uint8_t* const end = CodedOutputStream::WriteVarint64ToArray(value, buffer);
  bytes.append(reinterpret_cast<const char*>(buffer), static_cast<size_t>(end - buffer));
}

void AppendTagAndLength(int field_number, size_t length, std::string& bytes) {
  AppendVarint(LengthDelimitedTag(field_number), bytes);
  AppendVarint(length, bytes);
}

using Shape = std::vector<int64_t>;

v1::Tensor TensorWithoutElements(v1::DataType type, const Shape& shape) {
  v1::Tensor tensor;
  tensor.set_data_type(type);
  tensor.mutable_shape()->Assign(shape.begin(), shape.end());
  return tensor;
}

// Every array, present keys and values among them, and the bytes before and after each.
constexpr size_t kMaxSlices = 2 * (kResultArrayCount + 2) + 1;

// In the memory of the elements if there is room for it.
Buffer ToFloats(v1::DataType type, Buffer elements) {
  if (type == v1::DATA_TYPE_INT32) {
    auto* const bytes = static_cast<std::byte*>(elements.data());
    for (size_t i = 0; i < elements.byte_count(); i += sizeof(int32_t)) {
      int32_t number;
      std::memcpy(&number, bytes + i, sizeof number);
      const auto widened = static_cast<float>(number);
      std::memcpy(bytes + i, &widened, sizeof widened);
    }
    return elements;
  }
  const kernels::DataType kernel_type = *KernelType(type);
  if (kernel_type == kernels::DataType::kF32) return elements;
  const size_t count = elements.byte_count() / kernels::ElementBytes(kernel_type);
  Buffer floats(count * sizeof(float));
  ConvertToFloats(kernel_type, elements.data(), static_cast<int64_t>(count),
                  static_cast<float*>(floats.data()));
  return floats;
}

class ResponseWriter {
 public:
  explicit ResponseWriter(bool floats) : floats_(floats) {
    slices_.reserve(
        kMaxSlices);  // so that no exception comes between releasing elements and owning them
  }

  void AddTensor(int field_number, Buffer elements, v1::DataType type, const Shape& shape) {
    // The tensor with `raw` or `floats`, which are packed, as its last field, whose contents are a
    // slice of their own.
    std::string head = TensorWithoutElements(type, shape).SerializeAsString();
    if (floats_) elements = ToFloats(type, std::move(elements));
    if (elements.byte_count() > 0) {
      AppendTagAndLength(floats_ ? v1::Tensor::kFloatsFieldNumber : v1::Tensor::kRawFieldNumber,
                         elements.byte_count(), head);
    }
    AppendTagAndLength(field_number, head.size() + elements.byte_count(), pending_);
    pending_ += head;
    if (elements.byte_count() == 0) return;
    Flush();
    const size_t byte_count = elements.byte_count();
    void* const bytes = elements.Release();
    slices_.emplace_back(bytes, byte_count, std::free, bytes);
  }

  void AddMessage(int field_number, const google::protobuf::Message& message) {
    AppendTagAndLength(field_number, message.ByteSizeLong(), pending_);
    message.AppendToString(&pending_);
  }

  grpc::ByteBuffer Finish() {
    Flush();
    return {slices_.data(), slices_.size()};
  }

 private:
  void Flush() {
    if (pending_.empty()) return;
    slices_.emplace_back(pending_.data(), pending_.size());
    pending_.clear();
  }

  const bool floats_;
  std::string pending_;  // bytes before the next slice of elements
  std::vector<grpc::Slice> slices_;
};

// [batch?, query heads, queries, keys] without keys (or, of an output, its width), with `count` in
// their place, and without queries.
Shape RowShape(Shape matrix) {
  matrix.pop_back();
  return matrix;
}

Shape TopShape(Shape matrix, int64_t count) {
  matrix.back() = count;
  return matrix;
}

Shape KeyShape(Shape matrix) {
  matrix.erase(matrix.end() - 2);
  return matrix;
}

void AddStatistics(AttentionResult& result, const AttentionTask& task, const ResponseForm& form,
                   ResponseWriter& writer) {
  using Response = v1::AttentionResponse;
  const Statistics& wanted = task.statistics;
  const v1::DataType type = WireType(StatisticsType(task.type));
  const auto add_rows = [&](bool is_wanted, int field_number, Buffer& elements) {
    if (!is_wanted) return;
    writer.AddTensor(field_number, std::move(elements), type, RowShape(form.matrix_shape));
  };
  add_rows(wanted.log_sum_exp, Response::kLogSumExpFieldNumber, result.log_sum_exp);
  if (wanted.top_weight_count > 0) {
    const Shape shape = TopShape(form.matrix_shape, wanted.top_weight_count);
    writer.AddTensor(Response::kTopWeightsFieldNumber, std::move(result.top_weights), type, shape);
    writer.AddTensor(Response::kTopKeysFieldNumber, std::move(result.top_keys), v1::DATA_TYPE_INT32,
                     shape);
  }
  add_rows(wanted.entropy, Response::kEntropyFieldNumber, result.entropy);
  if (wanted.key_mass) {
    writer.AddTensor(Response::kKeyMassFieldNumber, std::move(result.key_mass), type,
                     KeyShape(form.matrix_shape));
  }
  add_rows(wanted.maximum_weight, Response::kMaximumWeightFieldNumber, result.maximum_weight);
}

}  // namespace

grpc::ByteBuffer EncodeResponse(AttentionResult result, const AttentionTask& task,
                                const ResponseForm& form, const v1::Execution& execution) {
  using Response = v1::AttentionResponse;
  ResponseWriter writer(task.sends_floats);
  const v1::DataType type = WireType(task.type);
  writer.AddTensor(Response::kOutputFieldNumber, std::move(result.output), type, form.output_shape);
  if (task.return_weights) {
    writer.AddTensor(Response::kWeightsFieldNumber, std::move(result.weights), type,
                     form.matrix_shape);
  }
  if (task.options.scores != kernels::ScoresOutput::kNone) {
    writer.AddTensor(Response::kScoresFieldNumber, std::move(result.scores), type,
                     form.matrix_shape);
  }
  writer.AddMessage(Response::kExecutionFieldNumber, execution);
  AddStatistics(result, task, form, writer);
  if (task.return_present) {
    writer.AddTensor(Response::kPresentKeyFieldNumber, std::move(result.present_key), type,
                     form.present_key_shape);
    writer.AddTensor(Response::kPresentValueFieldNumber, std::move(result.present_value), type,
                     form.present_value_shape);
  }
  return writer.Finish();
}

grpc::ByteBuffer EncodeResponse(AttentionResult result, const RotaryTask& task,
                                const ResponseForm& form, const v1::Execution& execution) {
  using Response = v1::ApplyRotaryEmbeddingResponse;
  ResponseWriter writer(task.sends_floats);
  writer.AddTensor(Response::kOutputFieldNumber, std::move(result.output),
                   WireType(task.input.type), form.output_shape);
  writer.AddMessage(Response::kExecutionFieldNumber, execution);
  return writer.Finish();
}

grpc::ByteBuffer EncodeResponse(AttentionResult result, const MergeTask& task,
                                const ResponseForm& form, const v1::Execution& execution) {
  using Response = v1::MergeAttentionStatesResponse;
  const kernels::AttentionState& state = task.states.front();
  ResponseWriter writer(task.sends_floats);
  writer.AddTensor(Response::kOutputFieldNumber, std::move(result.output),
                   WireType(state.output.type), form.output_shape);
  writer.AddTensor(Response::kLogSumExpFieldNumber, std::move(result.log_sum_exp),
                   WireType(state.log_sum_exp.type), RowShape(form.output_shape));
  writer.AddMessage(Response::kExecutionFieldNumber, execution);
  return writer.Finish();
}

grpc::ByteBuffer EncodeResponse(AttentionResult result, const DecodedCall& decoded,
                                const v1::Execution& execution) {
  return std::visit(
      [&](const auto& kind) {
        return EncodeResponse(std::move(result), kind.task, kind.response_form, execution);
      },
      decoded);
}

}  // namespace attention::server
