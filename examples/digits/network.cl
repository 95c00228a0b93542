// Sums are taken in the order of the inputs, and product and sum are rounded apart:
// package reference does the same and must find the same.
#pragma OPENCL FP_CONTRACT OFF

// A dense layer for a batch: a work item per output (dimension 0) and row (dimension 1).
kernel void dense(global const float *inputs, global const float *weights,
                  global const float *biases, global float *outputs, int input_count,
                  int rectify) {
  size_t output = get_global_id(0);
  size_t row = get_global_id(1);
  size_t output_count = get_global_size(0);
  float sum = biases[output];
  for (int i = 0; i < input_count; i++) {
    sum += inputs[row * input_count + i] * weights[i * output_count + output];
  }
  outputs[row * output_count + output] = rectify && !(sum > 0.0f) ? 0.0f : sum;
}

// The class with the largest logit, the first of equals: a work item per row.
kernel void classify(global const float *logits, global long *classes, int class_count) {
  size_t row = get_global_id(0);
  int best = 0;
  for (int i = 1; i < class_count; i++) {
    if (logits[row * class_count + i] > logits[row * class_count + best]) {
      best = i;
    }
  }
  classes[row] = best;
}
