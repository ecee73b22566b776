// From stored tensors to the maps of a layer.

#ifndef ATTENTION_SERVER_LAYERS_LAYER_WEIGHTS_H_
#define ATTENTION_SERVER_LAYERS_LAYER_WEIGHTS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "server/core/layer.h"
#include "server/layers/layer_description.h"
#include "server/layers/safetensors.h"

namespace attention::server {

// Bytes of the layer that the tensors hold: its LayerContents' storage. Errors as ReadLayerWeights,
// which need not be called then.
[[nodiscard]] absl::StatusOr<int64_t> LayerWeightBytes(const LayerDescription& description,
                                                       const StoredTensors& tensors);

// The layer that the tensors hold, copied, in the form that projections take: [in, out], heads side
// by side. `name` stays empty. The tensors of each format, with h heads of the width w (v of
// values) and g key-value heads:
//   pytorch  in_proj_weight [3 e, e], or q_proj_weight [e, e], k_proj_weight [e, .],
//            v_proj_weight [e, .]; in_proj_bias [3 e]; out_proj.weight [., e], out_proj.bias;
//            bias_k, bias_v [1, 1, e]; e = h w. Weights are [out, in].
//   keras    query/kernel [in, h, w], query/bias [h, w], key/kernel [in, g, w], key/bias [g, w],
//            value/kernel [in, g, v], value/bias [g, v], attention_output/kernel [h, v, out],
//            attention_output/bias [out]
//   plain    query.weight [in, h w], key.weight [in, g w], value.weight [in, g v],
//            output.weight [h v, out], and .bias [out] of each
// Biases may be left out, and in the plain format whole maps, which are then the identity.
//
// Errors: kInvalidArgument, as part of a sentence that begins with the file's name, for a tensor
// that is missing, that the format does not have, or whose shape does not fit; for several types in
// one file unless the description names one; for finite numbers beyond what that type holds; and
// for what no request may have (proto/README.md, limits). May throw std::bad_alloc.
[[nodiscard]] absl::StatusOr<LayerContents> ReadLayerWeights(const LayerDescription& description,
                                                             const StoredTensors& tensors);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_LAYERS_LAYER_WEIGHTS_H_
