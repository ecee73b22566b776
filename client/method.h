// The attention methods of the service: one remote call and one command of attn each.

#ifndef ATTENTION_CLIENT_METHOD_H_
#define ATTENTION_CLIENT_METHOD_H_

#include <cstdint>
#include <string_view>
#include <utility>

namespace attention::client {

enum class Method : uint8_t { kSelf, kMasked, kMultiHead, kCross, kScaledDotProduct };

// Their words on the command line and in worked examples.
inline constexpr std::pair<std::string_view, Method> kMethodWords[] = {
    {"self", Method::kSelf},
    {"masked", Method::kMasked},
    {"multi-head", Method::kMultiHead},
    {"cross", Method::kCross},
    {"sdpa", Method::kScaledDotProduct},
};

[[nodiscard]] constexpr std::string_view Name(Method method) {
  for (const auto& [word, each] : kMethodWords) {
    if (each == method) return word;
  }
  return "unknown";
}

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_METHOD_H_
