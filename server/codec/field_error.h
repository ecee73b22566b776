// The one form in which a request is told what is wrong with it.

#ifndef ATTENTION_SERVER_CODEC_FIELD_ERROR_H_
#define ATTENTION_SERVER_CODEC_FIELD_ERROR_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace attention::server {

// kInvalidArgument: "query.shape[1]: got 0, want > 0". `path` is the field's full path in the
// request. `got` and `want` describe shapes, types, counts and names; they never repeat an element
// of a tensor.
[[nodiscard]] inline absl::Status FieldError(const absl::AlphaNum& path, const absl::AlphaNum& got,
                                             const absl::AlphaNum& want) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": got ", got, ", want ", want));
}

// kInvalidArgument: "query: got nothing, want a tensor".
[[nodiscard]] inline absl::Status MissingField(const absl::AlphaNum& path) {
  return FieldError(path, "nothing", "a tensor");
}

// kInvalidArgument: "layout: got 9, want 0 to 3". `maximum` is the last enumerator of its kind.
[[nodiscard]] inline absl::Status UnknownEnumerator(const absl::AlphaNum& path, int64_t got,
                                                    int maximum) {
  return FieldError(path, got, absl::StrCat("0 to ", maximum));
}

// kInvalidArgument: "options.sinks: got another number at element 3, want finite". For elements,
// which are never repeated.
[[nodiscard]] inline absl::Status ElementError(const absl::AlphaNum& path,
                                               const absl::AlphaNum& index,
                                               const absl::AlphaNum& want) {
  return FieldError(path, absl::StrCat("another number at element ", index), want);
}

// kUnimplemented: "options.return_entropy: not offered with options.normalization ...". For what
// has a meaning that this server does not compute.
[[nodiscard]] inline absl::Status NotOffered(const absl::AlphaNum& path,
                                             const absl::AlphaNum& other) {
  return absl::UnimplementedError(absl::StrCat(path, ": not offered with ", other));
}

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_FIELD_ERROR_H_
