// Program simple is a function that adds and subtracts vectors of 16 numbers on an
// OpenCL device. Names, types and shapes are those of the model `simple` that Triton's
// public client examples expect.
package main

import "sluice/function"

func main() {
	function.Main(&adder{})
}
