kernel void add_and_subtract(global const int *first, global const int *second,
                             global int *sum, global int *difference) {
  size_t i = get_global_id(0);
  sum[i] = first[i] + second[i];
  difference[i] = first[i] - second[i];
}
