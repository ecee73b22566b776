// Where the service writes what its callers must not see.

#ifndef ATTENTION_SERVER_CORE_LOG_H_
#define ATTENTION_SERVER_CORE_LOG_H_

#include <string_view>

namespace attention::server {

// Implementations may be called from any thread and must not throw.
class Log {
 public:
  virtual ~Log() = default;

  // A fault of ours ended a request. The caller is told the request id alone; `detail` says what
  // happened and may hold a library's text.
  virtual void InternalError(std::string_view request_id, std::string_view detail) = 0;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_LOG_H_
