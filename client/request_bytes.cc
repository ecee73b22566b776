#include "client/request_bytes.h"

#include <array>
#include <cstdint>

#include "absl/strings/str_split.h"
#include "attention/v1/tensor.pb.h"
#include "client/send_blocks.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"

namespace attention::client {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::io::CodedOutputStream;

// The tag and length of a field of `length` bytes.
std::string Header(int field_number, size_t length) {
  constexpr uint32_t kLengthDelimited = 2;
  std::array<uint8_t, 16> header;  // two varints
  const auto tag = static_cast<uint32_t>(field_number) << 3 | kLengthDelimited;
  uint8_t* end = CodedOutputStream::WriteVarint32ToArray(tag, header.data());
  end = CodedOutputStream::WriteVarint64ToArray(length, end);
  return {header.data(), end};
}

// What stands before the elements of a tensor: the headers of all messages that it is in.
std::string Headers(const Descriptor& request, const LargeTensor& tensor) {
  std::vector<int> numbers;
  const Descriptor* message = &request;
  for (const absl::string_view name : absl::StrSplit(tensor.field, '.')) {
    const auto* field = message->FindFieldByName(std::string(name));
    numbers.push_back(field->number());
    message = field->message_type();
  }
  std::string headers = Header(v1::Tensor::kRawFieldNumber, tensor.bytes.size());
  for (auto number = numbers.rbegin(); number != numbers.rend(); ++number) {
    headers.insert(0, Header(*number, headers.size() + tensor.bytes.size()));
  }
  return headers;
}

}  // namespace

grpc::ByteBuffer RequestBytes(const google::protobuf::Message& message,
                              std::span<const LargeTensor> large) {
  std::vector<grpc::Slice> slices = {grpc::Slice(message.SerializeAsString())};
  for (const LargeTensor& tensor : large) {
    slices.emplace_back(Headers(*message.GetDescriptor(), tensor));
    SendBlocks::OfProcess().Copy(tensor.bytes, &slices);
  }
  return {slices.data(), slices.size()};
}

}  // namespace attention::client
