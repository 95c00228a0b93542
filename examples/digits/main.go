// Program digits is a function that recognises handwritten digits: a small neural
// network, computed by OpenCL kernels. README.md describes the network and its data.
package main

import "sluice/function"

func main() {
	function.Main(&classifier{})
}
