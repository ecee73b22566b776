// Attention in ten lines of JavaScript: three words attend to each other. See README.md.

import {fileURLToPath} from 'node:url';

import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const protos = fileURLToPath(new URL('../../proto', import.meta.url));
const definition = protoLoader.loadSync(
    'attention/v1/attention_service.proto', {includeDirs: [protos], keepCase: true, longs: Number});
const {AttentionService} = grpc.loadPackageDefinition(definition).attention.v1;

const client = new AttentionService(
    process.argv[2] ?? '127.0.0.1:8001', grpc.credentials.createInsecure(),
    {'grpc.max_receive_message_length': 257 << 20});  // 256 MiB of tensors; gRPC's is 4 MiB

const request = {
  embeddings: {shape: [3, 2], floats: [1, 0, 0, 1, 1, 1]},
  options: {return_weights: true},
};
client.SelfAttention(request, {deadline: Date.now() + 10_000}, (error, response) => {
  client.close();
  if (error) {
    console.error(error.message);  // one sentence: the field, what it was, what it should be
    process.exitCode = 1;
    return;
  }
  for (let row = 0; row < 3; ++row) {
    const output = response.output.floats.slice(2 * row, 2 * row + 2);
    const weights = response.weights.floats.slice(3 * row, 3 * row + 3);
    const digits = (number) => number.toFixed(6);
    console.log('output', ...output.map(digits), 'weights', ...weights.map(digits));
  }
});
