// Command sluice-bench measures sluice from outside, as a program sees it.
//
//	sluice-bench vdev     an OpenCL program's calls, on the bare driver and through sluice
//	sluice-bench gateway  requests to a function: directly, through a bare proxy, and through the gateway
//	sluice-bench batcher  batching policies on a simulated device, next to the optimum
//	sluice-bench live     batching policies on running functions
//	sluice-bench share    functions that share a device: what one has beside another's overload
//	sluice-bench linear   be the function whose batches do not pay, for live
//	sluice-bench measure  one side of vdev: prints the samples of the driver that the loader finds
//	sluice-bench client   one client of many: counts kernels from the moment at which it is told to
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

	"sluice/function"
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
		return fmt.Errorf("usage: sluice-bench vdev|gateway|batcher|live|share|linear|measure|client")
	}
	switch args[0] {
	case "measure":
		return measureCommand(args[1:])
	case "client":
		return measureRate(os.Stdin, os.Stdout)
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
	case "live":
		var b liveBench
		if err := b.flags().Parse(args[1:]); err != nil {
			return err
		}
		return b.run(ctx)
	case "share":
		var b shareBench
		if err := b.flags().Parse(args[1:]); err != nil {
			return err
		}
		return b.run(ctx)
	case "linear":
		function.Main(linear{})
		return nil
	}
	return fmt.Errorf("%q is not a benchmark: vdev, gateway, batcher, live, share, linear, measure or client", args[0])
}

func measureCommand(args []string) error {
	flags := flag.NewFlagSet("measure", flag.ContinueOnError)
	seen := flags.Uint("seen", 0, "number of a program that has been built before")
	apps := flags.Bool("apps", false, "run whole programs")
	build := flags.Uint("build", 0, "build only the program of this number")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *apps {
		return json.NewEncoder(os.Stdout).Encode(measureApps())
	}
	if *build != 0 {
		return json.NewEncoder(os.Stdout).Encode(buildOnce(*build))
	}
	return json.NewEncoder(os.Stdout).Encode(measureAll(*seen))
}
