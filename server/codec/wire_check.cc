#include "server/codec/wire_check.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format.h>
#include <google/protobuf/wire_format_lite.h>

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormat;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// As many as MergeAttentionStates may have.
constexpr int kMaxRepeatedMessages = kMaxStates;

// All shapes of the largest request together, of two tensors for each repeated message, have fewer
// extents.
constexpr int kMaxRepeatedIntegers = 2 * kMaxRank * kMaxRepeatedMessages;

class WireChecker {
 public:
  WireChecker(google::protobuf::io::ZeroCopyInputStream& bytes, const Descriptor& root)
      : stream_(&bytes), root_(root) {}

  absl::Status Check(int64_t byte_count) {
    if (byte_count > std::numeric_limits<int>::max()) return Malformed();
    const auto outer = stream_.PushLimit(static_cast<int>(byte_count));
    absl::Status status = CheckMessage(root_, "");
    stream_.PopLimit(outer);
    return status;
  }

 private:
  // The current limit of the stream is the message's end.
  absl::Status CheckMessage(const Descriptor& descriptor, const std::string& path) {
    while (stream_.BytesUntilLimit() > 0) {
      const uint32_t tag = stream_.ReadTagNoLastTag();
      const int number = WireFormatLite::GetTagFieldNumber(tag);
      if (number == 0) return Malformed();
      const FieldDescriptor* field = descriptor.FindFieldByNumber(number);
      if (field == nullptr) {
        return absl::UnimplementedError(absl::StrCat(path.empty() ? "request" : path,
                                                     ": field number ", number,
                                                     " is not known to this server"));
      }
      const std::string field_path = absl::StrCat(path, path.empty() ? "" : ".", field->name());
      ATTENTION_RETURN_IF_ERROR(
          CheckField(*field, WireFormatLite::GetTagWireType(tag), field_path));
    }
    return absl::OkStatus();
  }

  absl::Status CheckField(const FieldDescriptor& field, WireFormatLite::WireType wire_type,
                          const std::string& path) {
    const WireFormatLite::WireType element_type = WireFormat::WireTypeForFieldType(field.type());
    const bool packed =
        field.is_packable() && wire_type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    if (!packed && wire_type != element_type) return Malformed();

    if (wire_type == WireFormatLite::WIRETYPE_VARINT) return CheckVarint(field, path);
    if (wire_type == WireFormatLite::WIRETYPE_FIXED32) return Skip(4);
    if (wire_type == WireFormatLite::WIRETYPE_FIXED64) return Skip(8);
    if (wire_type != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) return Malformed();

    int length = 0;
    if (!stream_.ReadVarintSizeAsInt(&length) || length > stream_.BytesUntilLimit())
      return Malformed();
    const bool varints = packed && element_type == WireFormatLite::WIRETYPE_VARINT;
    if (field.message_type() == nullptr && !varints) return Skip(length);

    const auto outer = stream_.PushLimit(length);
    if (varints) {
      while (stream_.BytesUntilLimit() > 0) ATTENTION_RETURN_IF_ERROR(CheckVarint(field, path));
    } else if (field.is_repeated()) {
      ATTENTION_RETURN_IF_ERROR(CheckRepeatedMessage(*field.message_type(), path));
    } else {
      ATTENTION_RETURN_IF_ERROR(CheckMessage(*field.message_type(), path));
    }
    stream_.PopLimit(outer);
    return absl::OkStatus();
  }

  // No request has a second field of these, so that their number so far is the index.
  absl::Status CheckRepeatedMessage(const Descriptor& descriptor, const std::string& path) {
    const int index = repeated_messages_++;
    if (index == kMaxRepeatedMessages) {
      return FieldError(path, absl::StrCat("more than ", kMaxRepeatedMessages), "fewer");
    }
    return CheckMessage(descriptor, absl::StrCat(path, "[", index, "]"));
  }

  absl::Status CheckVarint(const FieldDescriptor& field, const std::string& path) {
    uint64_t bits = 0;
    if (!stream_.ReadVarint64(&bits)) return Malformed();
    const auto value = static_cast<int64_t>(bits);
    const bool fits = value >= std::numeric_limits<int32_t>::min() &&
                      value <= std::numeric_limits<int32_t>::max();
    if (const EnumDescriptor* names = field.enum_type(); names != nullptr) {
      if (!fits || names->FindValueByNumber(static_cast<int>(value)) == nullptr) {
        return UnknownEnumerator(path, value, names->value(names->value_count() - 1)->number());
      }
    } else if (field.type() == FieldDescriptor::TYPE_INT32 && !fits) {
      return FieldError(path, value, "a number of 32 bits");
    }
    if (field.is_repeated() && ++repeated_integers_ > kMaxRepeatedIntegers) {
      return FieldError(path, absl::StrCat("more than ", kMaxRepeatedIntegers, " numbers"),
                        "fewer");
    }
    return absl::OkStatus();
  }

  absl::Status Skip(int byte_count) {
    if (byte_count > stream_.BytesUntilLimit() || !stream_.Skip(byte_count)) return Malformed();
    return absl::OkStatus();
  }

  absl::Status Malformed() const {
    return absl::InvalidArgumentError(
        absl::StrCat("request: not a valid ", root_.name(), " message"));
  }

  CodedInputStream stream_;
  const Descriptor& root_;
  int repeated_integers_ = 0;
  int repeated_messages_ = 0;
};

}  // namespace

absl::Status CheckWire(google::protobuf::io::ZeroCopyInputStream& bytes, int64_t byte_count,
                       const Descriptor& descriptor) {
  return WireChecker(bytes, descriptor).Check(byte_count);
}

}  // namespace attention::server
