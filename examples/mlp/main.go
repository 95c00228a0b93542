// Program mlp is a function whose batches pay: a neural network with more weights than a CPU's cache holds, so that
// fetching them is most of what one row costs. README.md describes it.
package main

import "sluice/function"

func main() {
	function.Main(&perceptron{width: 2048, depth: 4, seed: 1})
}
