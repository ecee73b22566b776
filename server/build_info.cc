#include "server/build_info.h"

namespace attention::server {

std::string_view Version() { return ATTENTION_VERSION; }

}  // namespace attention::server
