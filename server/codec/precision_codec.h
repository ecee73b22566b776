// Precisions on the wire.

#ifndef ATTENTION_SERVER_CODEC_PRECISION_CODEC_H_
#define ATTENTION_SERVER_CODEC_PRECISION_CODEC_H_

#include <optional>

#include "attention/v1/options.pb.h"
#include "kernels/attend.h"

namespace attention::server {

// The kernels' name for a wire precision; nothing for UNSPECIFIED and for unknown numbers.
[[nodiscard]] std::optional<kernels::Precision> KernelPrecision(v1::Precision precision);
[[nodiscard]] v1::Precision WirePrecision(kernels::Precision precision);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_PRECISION_CODEC_H_
