// Sums are taken in the order of the inputs, and product and sum are rounded apart, so that
// the test's plain loop finds the same bits.
#pragma OPENCL FP_CONTRACT OFF

#define TILE_ROWS 4

// A dense layer for a batch, followed by max(0, x): a work item per tile of rows (dimension 0)
// and panel of 16 outputs (dimension 1). The tiles of one panel run one after the other, so
// that its weights come from memory once and from the cache for all tiles but the first.
kernel void dense(global const float *inputs, global const float16 *weights,
                  global const float16 *biases, global float *outputs, int width) {
  size_t row = get_global_id(0) * TILE_ROWS;
  size_t panel = get_global_id(1);
  inputs += row * width;
  weights += panel * width;
  float16 sums[TILE_ROWS];
  for (int r = 0; r < TILE_ROWS; r++) {
    sums[r] = biases[panel];
  }
  for (int i = 0; i < width; i++) {
    float16 weight = weights[i];
    __attribute__((opencl_unroll_hint(TILE_ROWS))) for (int r = 0; r < TILE_ROWS; r++) {
      sums[r] += inputs[r * width + i] * weight;
    }
  }
  for (int r = 0; r < TILE_ROWS; r++) {
    vstore16(max(sums[r], 0.0f), panel, outputs + (row + r) * width);
  }
}
