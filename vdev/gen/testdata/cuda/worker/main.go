// Command worker stands in for a CUDA worker: frames come on standard input,
// answers go to standard output.
package main

import (
	"log"
	"os"
	"worker/dispatch"
)

func main() {
	if err := dispatch.Serve(os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}
