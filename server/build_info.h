// What was built.

#ifndef ATTENTION_SERVER_BUILD_INFO_H_
#define ATTENTION_SERVER_BUILD_INFO_H_

#include <string_view>

namespace attention::server {

// The project's version: "0.1.0".
[[nodiscard]] std::string_view Version();

}  // namespace attention::server

#endif  // ATTENTION_SERVER_BUILD_INFO_H_
