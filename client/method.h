// The attention methods of the service: one remote call and one command of attn each.

#ifndef ATTENTION_CLIENT_METHOD_H_
#define ATTENTION_CLIENT_METHOD_H_

#include <cstdint>

namespace attention::client {

enum class Method : uint8_t { kSelf, kMasked, kMultiHead, kCross, kScaledDotProduct };

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_METHOD_H_
