#include "server/codec/response_encoder.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/slice.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "server/codec/element_conversion.h"
#include "server/codec/tensor_codec.h"

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

v1::Tensor TensorWithoutElements(kernels::DataType type, const std::vector<int64_t>& shape) {
  v1::Tensor tensor;
  tensor.set_data_type(WireType(type));
  tensor.mutable_shape()->Assign(shape.begin(), shape.end());
  return tensor;
}

// Five arrays, and the bytes before and after each.
constexpr size_t kMaxSlices = 11;

class ResponseWriter {
 public:
  ResponseWriter(kernels::DataType type, bool floats) : type_(type), floats_(floats) {
    slices_.reserve(
        kMaxSlices);  // so that no exception comes between releasing elements and owning them
  }

  void AddTensor(int field_number, Buffer elements, const std::vector<int64_t>& shape) {
    v1::Tensor tensor = TensorWithoutElements(type_, shape);
    if (floats_) {
      const auto count = static_cast<int64_t>(elements.byte_count() / kernels::ElementBytes(type_));
      tensor.mutable_floats()->Resize(static_cast<int>(count), 0.0F);
      ConvertToFloats(type_, elements.data(), count, tensor.mutable_floats()->mutable_data());
      AddMessage(field_number, tensor);
      return;
    }
    // The tensor with `raw` as its last field, whose contents are a slice of their own.
    std::string head = tensor.SerializeAsString();
    if (elements.byte_count() > 0)
      AppendTagAndLength(v1::Tensor::kRawFieldNumber, elements.byte_count(), head);
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

  const kernels::DataType type_;
  const bool floats_;
  std::string pending_;  // bytes before the next slice of elements
  std::vector<grpc::Slice> slices_;
};

}  // namespace

grpc::ByteBuffer EncodeResponse(AttentionResult result, const AttentionTask& task,
                                const ResponseForm& form, const v1::Execution& execution) {
  ResponseWriter writer(task.type, form.floats);
  writer.AddTensor(v1::AttentionResponse::kOutputFieldNumber, std::move(result.output),
                   form.output_shape);
  if (task.return_weights) {
    writer.AddTensor(v1::AttentionResponse::kWeightsFieldNumber, std::move(result.weights),
                     form.matrix_shape);
  }
  if (task.options.scores != kernels::ScoresOutput::kNone) {
    writer.AddTensor(v1::AttentionResponse::kScoresFieldNumber, std::move(result.scores),
                     form.matrix_shape);
  }
  writer.AddMessage(v1::AttentionResponse::kExecutionFieldNumber, execution);
  if (task.return_present) {
    writer.AddTensor(v1::AttentionResponse::kPresentKeyFieldNumber, std::move(result.present_key),
                     form.present_key_shape);
    writer.AddTensor(v1::AttentionResponse::kPresentValueFieldNumber,
                     std::move(result.present_value), form.present_value_shape);
  }
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
