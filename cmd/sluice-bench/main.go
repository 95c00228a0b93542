// Command sluice-bench measures sluice from outside, as a program sees it.
//
//	sluice-bench vdev     an OpenCL program's calls, on the bare driver and through sluice
//	sluice-bench gateway  requests to a function: directly, through a bare proxy, and through the gateway
//	sluice-bench batcher  batching policies on a simulated device, next to the optimum
//	sluice-bench measure  one side of it: prints the samples of the driver that the loader finds
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sluice-bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: sluice-bench vdev|gateway|batcher|measure")
	}
	switch args[0] {
	case "measure":
		return json.NewEncoder(os.Stdout).Encode(measureAll())
	case "vdev":
		var b vdevBench
		flags := flag.NewFlagSet("vdev", flag.ContinueOnError)
		flags.StringVar(&b.sluice, "sluice", "", "the sluice program (default: beside this one)")
		flags.StringVar(&b.json, "json", "", "where the rows are written as JSON")
		flags.IntVar(&b.rounds, "rounds", 5, "times that each side is measured, in turn")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return b.run(ctx)
	case "gateway":
		var b gatewayBench
		flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
		flags.StringVar(&b.sluice, "sluice", "", "the sluice program (default: beside this one)")
		flags.StringVar(&b.function, "function", "build/examples/simple/simple", "the program of the function simple")
		flags.StringVar(&b.json, "json", "", "where the rows are written as JSON")
		flags.IntVar(&b.rounds, "rounds", 7, "times that each way is measured, in turn")
		flags.DurationVar(&b.duration, "duration", time.Second, "of one way in one round")
		flags.StringVar(&b.proxy, "proxy", "", "be the bare proxy before this target")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return b.run(ctx)
	case "batcher":
		var b batcherBench
		if err := b.flags().Parse(args[1:]); err != nil {
			return err
		}
		return b.run(ctx)
	}
	return fmt.Errorf("%q is not a benchmark: vdev, gateway, batcher or measure", args[0])
}
