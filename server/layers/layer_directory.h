// The folder with the layers that a server offers.
//
//   DIRECTORY/NAME/layer.json            see layer_description.h
//   DIRECTORY/NAME/weights.safetensors   see safetensors.h and layer_weights.h

#ifndef ATTENTION_SERVER_LAYERS_LAYER_DIRECTORY_H_
#define ATTENTION_SERVER_LAYERS_LAYER_DIRECTORY_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/attend.h"
#include "kernels/execution.h"
#include "server/core/byte_budget.h"
#include "server/core/layer.h"

namespace attention::server {

inline constexpr int64_t kMaxLayers = 1024;

struct LayerLoading {
  // What F32 layers are packed for at once, so that a first request need not wait for it and a
  // machine without the memory says so at the start. Other precisions are packed when asked for.
  kernels::Precision precision = kernels::Precision::kF32;

  const kernels::StopSignal* stop = nullptr;  // asked between layers
};

// Every layer below `directory`, counted in `budget`, which must outlive them. Entries whose names
// begin with a dot, and lost+found, are passed over; anything else must be a layer. Files are read
// into memory: what happens to them later changes nothing. Returns kFailedPrecondition, as one
// sentence that names the file, if one of them is no layer; kResourceExhausted where the budget or
// the memory does not suffice; kCancelled if stopped.
[[nodiscard]] absl::StatusOr<LayerSet> LoadLayers(const std::string& directory, ByteBudget& budget,
                                                  const LayerLoading& loading);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_LAYERS_LAYER_DIRECTORY_H_
